//! What nodes say of themselves, as JSON. Fields are added, and never change their meaning.

use dx_agents::mesh::NodeStatus;
use dx_agents::{AgentId, NodeId};
use dx_transport::id::ClusterId;
use serde::{Deserialize, Serialize};

use crate::control::About;
use crate::home::NodeName;

/// A node that answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Who it is.
    #[serde(flatten)]
    pub about: About,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// How it stands.
    pub status: NodeStatus,
}

/// A cluster, as one of its nodes sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterReport {
    /// The cluster.
    pub cluster: ClusterId,
    /// The nodes that answered, in the order of their ids.
    pub nodes: Vec<NodeReport>,
    /// Those that did not.
    pub silent: Vec<Silent>,
}

/// A node that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub node: NodeName,
    /// Why, as far as is known.
    pub reason: String,
}

/// The way to an agent and back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPing {
    /// The agent.
    pub agent: AgentId,
    /// Its kind.
    pub kind: String,
    /// The name of the node it lives on.
    pub node: String,
    /// The name of the node that asked.
    pub from: String,
    /// How long it took from node to node and back, in microseconds. The agent itself took no
    /// step.
    pub rtt_us: u64,
    /// Messages that wait for the agent.
    pub waiting: usize,
}
