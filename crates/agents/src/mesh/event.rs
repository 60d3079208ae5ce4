//! What a node says of the others.

use std::collections::BTreeSet;

use dx_transport::id::{Incarnation, NodeId};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

/// Something that happened between this node and another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeEvent {
    /// It is connected.
    Up {
        /// The other node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// The conversation goes on: nothing was lost.
        resumed: bool,
        /// What carries it.
        transport: String,
    },
    /// It cannot be reached; it is dialed on.
    Down {
        /// The other node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// It began a new life.
    Restarted {
        /// The other node.
        node: NodeId,
        /// The life that is over.
        old: Incarnation,
        /// The life that began.
        new: Incarnation,
    },
    /// Frames may never have been delivered.
    Lost {
        /// The other node.
        node: NodeId,
        /// How many.
        count: u64,
        /// Whether they were on their way to this node.
        inbound: bool,
    },
    /// No link came up, or one was closed for misbehaviour.
    Refused {
        /// The other node, if it is known which.
        node: Option<NodeId>,
        /// The address that was dialed, or the one that it came from.
        address: String,
        /// What is wrong.
        error: String,
    },
    /// A lane to it is full: it takes messages slower than they come.
    Slow {
        /// The other node.
        node: NodeId,
    },
    /// It is stopping.
    GoingAway {
        /// The other node.
        node: NodeId,
    },
    /// So many events were dropped, since nobody took them.
    Missed(u64),
}

/// The events of a node, from the moment at which this was asked for.
#[derive(Debug)]
pub struct NodeEvents(broadcast::Receiver<NodeEvent>);

impl NodeEvents {
    /// The next one; `None` once the node is gone. Cancel-safe, and on any executor.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(NodeEvent::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next one, if there is one now.
    pub fn try_next(&mut self) -> Option<NodeEvent> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(NodeEvent::Missed(missed)),
            Err(_) => None,
        }
    }
}

/// Where events are made, and who is up.
#[derive(Debug)]
pub struct News {
    events: broadcast::Sender<NodeEvent>,
    up: watch::Sender<BTreeSet<NodeId>>,
}

/// Events that wait for whoever listens; older ones give way.
const MAX_EVENTS: usize = 1024;

impl Default for News {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(MAX_EVENTS), up: watch::Sender::default() }
    }
}

impl News {
    pub fn say(&self, event: NodeEvent) {
        tracing::debug!(?event, "node event");
        // Nobody needs to listen.
        let _ = self.events.send(event);
    }

    pub fn events(&self) -> NodeEvents {
        NodeEvents(self.events.subscribe())
    }

    pub fn set_up(&self, node: NodeId, is_up: bool) {
        self.up.send_modify(|up| {
            if is_up {
                up.insert(node);
            } else {
                up.remove(&node);
            }
        });
    }

    /// Waits until all of `nodes` are up at the same time.
    pub async fn all_up(&self, nodes: &BTreeSet<NodeId>) {
        let mut up = self.up.subscribe();
        // The sender lives as long as `self`.
        let _ = up.wait_for(|up| nodes.is_subset(up)).await;
    }

    /// Waits until `node` is not up.
    pub async fn down(&self, node: NodeId) {
        let mut up = self.up.subscribe();
        // The sender lives as long as `self`.
        let _ = up.wait_for(|up| !up.contains(&node)).await;
    }

    /// Who of `nodes` is not up.
    pub fn missing(&self, nodes: &BTreeSet<NodeId>) -> Vec<NodeId> {
        nodes.difference(&self.up.borrow()).copied().collect()
    }
}
