//! A cluster as it is to be: nothing in it is left to be looked up or doubted.

use std::collections::BTreeMap;

use dx_agents::AgentSpec;
use dx_transport::address::Address;
use dx_transport::id::{ClusterId, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::file::Role;
use super::rules;
use super::settings::{Bounds, Dialing, JobsTable, OfferTable, Timing};
use crate::home::NodeName;

/// A cluster: what its nodes share, and who they and their agents are.
///
/// It is also what a node that has no configuration of its own is sent, as JSON. What was read
/// from there has been checked against the same rules as a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Cluster {
    /// The name. Nodes of different names refuse each other.
    pub name: ClusterId,
    /// The transport of addresses that name none: `tcp`, `tls` or `quic`.
    pub transport: String,
    /// Whether plain tcp may leave the machine.
    pub insecure: bool,
    /// When a link is silent and a session over.
    pub timing: Timing,
    /// When a node dials.
    pub dialing: Dialing,
    /// What others may make a node hold.
    pub bounds: Bounds,
    /// What the nodes with roles agree on about jobs.
    #[serde(default)]
    pub jobs: JobsTable,
    /// The nodes, in the order of their ids.
    pub nodes: Vec<NodeSpec>,
    /// The agents, in the order of their ids.
    pub agents: Vec<AgentSpec>,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its number, which its certificate names.
    pub id: NodeId,
    /// Its name for people, and for its folder.
    pub name: NodeName,
    /// Where the others reach it.
    pub address: Address,
    /// Where it listens; the same as `address` but behind a forwarded port or a name.
    pub listen: Address,
    /// What it does beside holding agents.
    pub roles: Vec<Role>,
    /// What jobs may ask for.
    pub labels: BTreeMap<String, String>,
    /// What it offers to jobs.
    #[serde(default)]
    pub offer: OfferTable,
}

impl Cluster {
    /// The node of this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The node of this name.
    #[must_use]
    pub fn node_called(&self, name: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name.as_str() == name)
    }

    /// The node that says what jobs run where, if there is one.
    #[must_use]
    pub fn controller(&self) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.roles.contains(&Role::Controller))
    }

    /// The nodes that run jobs, in the order of their ids.
    pub fn runners(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| node.roles.contains(&Role::Runner))
    }

    /// The agents on a node, in the order of their ids.
    pub fn agents_on(&self, node: NodeId) -> impl Iterator<Item = &AgentSpec> {
        self.agents.iter().filter(move |agent| agent.node == node)
    }
}

impl Serialize for Cluster {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Cluster {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let cluster = Self::deserialize(from)?;
        let broken = rules::broken(&cluster).into_iter();
        let broken = broken.map(|broken| format!("{}: {}", broken.path, broken.message));
        match rules::out_of_range(&cluster).into_iter().chain(broken).next() {
            None => Ok(cluster),
            Some(reason) => Err(serde::de::Error::custom(reason)),
        }
    }
}
