//! What a run is to be, and the cluster for it.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentId, AgentSpec, NodeId, Options, Restart};
use dx_ring::RingConfig;
use dx_transport::address::Address;
use dx_transport::id::ClusterId;
use serde_json::json;

use crate::config::settings::{Bounds, Dialing, JobsTable, OfferTable, Timing};
use crate::config::{Cluster, NodeSpec};
use crate::kinds::ring_member::{Attr, KIND};

/// A run of a ring.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The cluster's name.
    pub name: ClusterId,
    /// `tcp`, `tls` or `quic`.
    pub transport: String,
    /// What all members are told.
    pub attr: Attr,
    /// Whether a member that fails is started again.
    pub restarts: bool,
}

/// A member that panics is started again so often within a minute.
const RESTARTS: u32 = 5;

/// The wait before the first of these.
const BACKOFF: Duration = Duration::from_millis(100);

impl Wanted {
    /// The cluster of one node per address, `n1` and on, with one member each, of the same number.
    #[must_use]
    pub fn cluster(&self, addresses: Vec<Address>) -> Cluster {
        let ids = 1..=u32::try_from(addresses.len()).expect("members are few");
        let members: Vec<AgentId> = ids.clone().map(|id| AgentId(id.into())).collect();
        let restart = if self.restarts {
            let within = Duration::from_mins(1);
            Restart::OnFailure { max: RESTARTS, within, backoff: BACKOFF }
        } else {
            Restart::Never
        };
        let mailbox = RingConfig::new(members.clone()).mailbox();
        let options = Options { mailbox, restart, ..Options::default() };
        let nodes = ids.zip(addresses).map(|(id, address)| NodeSpec {
            id: NodeId(id),
            name: format!("n{id}").parse().expect("it is a letter and digits"),
            listen: address.clone(),
            address,
            roles: Vec::new(),
            labels: BTreeMap::new(),
            offer: OfferTable::default(),
        });
        let agents = members.iter().map(|id| AgentSpec {
            id: *id,
            kind: KIND.to_owned(),
            node: NodeId(u32::try_from(id.0).expect("it was one before")),
            attr: json!(self.attr),
            options: options.clone(),
        });
        Cluster {
            name: self.name.clone(),
            transport: self.transport.clone(),
            insecure: false,
            timing: Timing::default(),
            dialing: Dialing::default(),
            bounds: Bounds::default(),
            jobs: JobsTable::default(),
            nodes: nodes.collect(),
            agents: agents.collect(),
        }
    }
}
