//! Leaving in good order: nothing that was accepted for sending is left behind.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::id::NodeId;
use crate::lane::Lane;
use crate::mesh::peer::PeerShared;
use crate::mesh::status::PeerState;
use crate::mesh::waiters::lock;

/// How a drain went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Peers that have acknowledged everything.
    pub drained: Vec<NodeId>,
    /// Peers that had not when the time was up.
    pub unfinished: Vec<Unfinished>,
}

/// What was left for a peer that could not be drained in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The peer.
    pub peer: NodeId,
    /// It cannot be reached, as where it has left itself.
    pub is_down: bool,
    /// Messages that were never sent.
    pub queued_messages: u64,
    /// Bytes that were sent and not acknowledged.
    pub unacked_bytes: u64,
}

impl DrainReport {
    /// Whether nothing was left behind.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unfinished.is_empty()
    }
}

/// How a peer's task says how far its drain is.
pub(crate) struct Farewell {
    /// All was acknowledged. Dropped unsent, it says that something was lost.
    pub delivered: oneshot::Sender<()>,
    /// Dropped when the task has left.
    pub left: oneshot::Sender<Infallible>,
}

/// Drains all of `peers` at the same time.
pub(crate) async fn drain(peers: Vec<Arc<PeerShared>>, within: Duration) -> DrainReport {
    let deadline = Instant::now() + within;
    let begin = |peer: Arc<PeerShared>| {
        peer.close();
        let (delivered, is_delivered) = oneshot::channel();
        let (left, has_left) = oneshot::channel();
        peer.order(|orders| orders.drain = Some(Farewell { delivered, left }));
        (peer, is_delivered, has_left)
    };
    let draining: Vec<_> = peers.into_iter().map(begin).collect();
    let mut report = DrainReport::default();
    let mut leaving = Vec::new();
    for (peer, is_delivered, has_left) in draining {
        match timeout_at(deadline, is_delivered).await {
            Ok(Ok(())) => report.drained.push(peer.node),
            Ok(Err(_)) | Err(_) => report.unfinished.push(unfinished(&peer)),
        }
        leaving.push(has_left);
    }
    for has_left in leaving {
        // What there was to report is known: the rest is manners.
        let _ = timeout_at(deadline, has_left).await;
    }
    report
}

fn unfinished(peer: &PeerShared) -> Unfinished {
    let is_down = !matches!(lock(&peer.view).state, PeerState::Up | PeerState::Relinking);
    let stats = lock(&peer.session).stats();
    let sending = lock(&peer.sending);
    let queued = (0..).map(Lane).take(peer.lanes.len());
    Unfinished {
        peer: peer.node,
        is_down,
        queued_messages: queued.map(|lane| sending.outbox.backlog(lane).messages).sum(),
        unacked_bytes: stats.lanes.iter().map(|lane| lane.unacked_bytes as u64).sum(),
    }
}
