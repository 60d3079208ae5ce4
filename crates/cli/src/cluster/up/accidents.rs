//! Accidents on purpose: processes that end without warning.

use std::sync::Arc;

use dx_agents::NodeId;
use tokio::sync::Notify;

/// By which the processes of a cluster's nodes are killed, as by the kernel or by a power failure.
#[derive(Clone, Debug)]
pub struct Accidents(Vec<(NodeId, Arc<Notify>)>);

impl Accidents {
    pub(super) fn of(nodes: impl Iterator<Item = NodeId>) -> Self {
        Self(nodes.map(|node| (node, Arc::default())).collect())
    }

    pub(super) fn of_node(&self, node: NodeId) -> Arc<Notify> {
        self.find(node).expect("all nodes are in it")
    }

    /// Kills the process of `node` now, or as soon as there is one. One that is of another machine
    /// is left alone.
    pub fn kill(&self, node: NodeId) {
        if let Some(accident) = self.find(node) {
            accident.notify_one();
        }
    }

    fn find(&self, node: NodeId) -> Option<Arc<Notify>> {
        self.0.iter().find(|(id, _)| *id == node).map(|(_, accident)| Arc::clone(accident))
    }
}
