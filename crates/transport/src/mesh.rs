//! The mesh: one node's sessions with all of its peers.
//!
//! It dials and accepts, breaks ties between links, dials again when one breaks, and keeps a
//! session with every peer over whatever link there is. It says what happened in [`PeerEvent`]s.
//!
//! ```text
//! Peer::send -> Outbox -> peer task (Session, Link) -> network -> peer task -> Inbox -> Mesh::recv
//!                             |        ^
//!                           attempts   acceptors
//! ```
//!
//! - A *peer task* is the only one that touches a peer's link. Producers append to its outbox,
//!   consumers take from the inbox of the whole mesh; neither ever waits for the network.
//! - An *attempt* dials one address and carries out the handshake; an *acceptor* does the same for
//!   what comes in. Both hand the finished link to the peer task, which decides with the
//!   tie-break whether to use it.
//!
//! What it is not: a membership service. Peers are those that were added; who should be is for
//! the application to know.

mod acceptor;
mod arriving;
mod attempt;
mod clock;
mod config;
mod converse;
mod datagrams;
mod drain;
mod error;
mod event;
mod inbox;
mod live_link;
mod metrics;
mod peer;
mod places;
mod rate_limit;
mod runtime;
mod shared;
mod start;
mod status;
mod task;
mod task_waker;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

pub use self::config::{Bounds, MeshConfig};
pub use self::drain::{DrainReport, Unfinished};
pub use self::error::{AddPeerError, StartError};
pub use self::event::{DownReason, LinkError, PeerEvent};
pub use self::peer::{DatagramError, Peer, Progress, SendError};
pub use self::runtime::Io;
pub use self::status::{HandshakeStatus, LaneStatus, MeshStatus, PeerState, PeerStatus};
pub use crate::linking::Dialing;

use self::shared::Shared;
use self::start::Started;
use crate::address::Address;
use crate::batch::Batch;
use crate::id::{Incarnation, NodeId};
use crate::lane::Lane;

/// A running mesh. Dropped, it breaks all links at once and leaves nothing running; to leave in
/// good order, [`drain`](Self::drain) it first.
///
/// All methods take `&self`: share it in an [`Arc`] between as many tasks as you like.
pub struct Mesh {
    shared: Arc<Shared>,
    started: Started,
}

impl Mesh {
    /// Starts a mesh: when this returns, it listens.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left of it.
    pub async fn start(config: MeshConfig) -> Result<Self, StartError> {
        let (shared, started) = start::start(config).await?;
        Ok(Self { shared, started })
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.config.node
    }

    /// This node's life.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.config.incarnation
    }

    /// Where it listens, in the order of the configuration, with the ports that were really
    /// given.
    #[must_use]
    pub fn endpoints(&self) -> &[Address] {
        &self.started.endpoints
    }

    /// Adds the peer `node`, to be dialed at `addresses`, of which the first is tried first.
    /// Without an address it is waited for. If it is a peer already, these addresses take the
    /// place of those it had.
    ///
    /// # Errors
    /// See [`AddPeerError`]; nothing has changed.
    pub fn add_peer(&self, node: NodeId, addresses: Vec<Address>) -> Result<Peer, AddPeerError> {
        let exposed = addresses.iter().find(|address| address.is_exposed());
        if let Some(address) = exposed.filter(|_| !self.shared.config.insecure) {
            return Err(AddPeerError::Insecure(address.clone()));
        }
        let targets = self.shared.targets(addresses)?;
        let shared = self.shared.add_peer(node, task::fresh_nonce())?;
        shared.order(|orders| orders.targets = Some(targets));
        Ok(Peer { shared })
    }

    /// Removes the peer `node`: its session ends on both sides, what waits for it or came from it
    /// and was not taken is discarded. Returns whether it was a peer.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn remove_peer(&self, node: NodeId) -> bool {
        self.shared.remove_peer(node)
    }

    /// The peer `node`, if it is one.
    #[must_use]
    pub fn peer(&self, node: NodeId) -> Option<Peer> {
        self.shared.peer(node).map(|shared| Peer { shared })
    }

    /// All peers, in the order of their ids.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.shared.peers().into_iter().map(|shared| Peer { shared }).collect()
    }

    /// The next event. Cancel-safe.
    pub async fn event(&self) -> PeerEvent {
        self.shared.events.next().await
    }

    /// The next event, if there is one now.
    #[must_use]
    pub fn try_event(&self) -> Option<PeerEvent> {
        self.shared.events.try_next()
    }

    /// The next batch of messages on `lane`, from whichever peer's turn it is. Messages of one
    /// peer come in their order. Cancel-safe.
    ///
    /// # Panics
    /// If there is no such lane.
    pub async fn recv(&self, lane: Lane) -> Batch {
        assert!(lane.index() < self.shared.lanes.len(), "there is no {lane}");
        self.shared.inbox.recv(lane).await
    }

    /// The next batch of messages on `lane`, if there is one now.
    #[must_use]
    pub fn try_recv(&self, lane: Lane) -> Option<Batch> {
        self.shared.inbox.take(lane)
    }

    /// The next batch of any lane: of the control lane while it has some, else of the others in
    /// turn. Cancel-safe.
    pub async fn recv_any(&self) -> Batch {
        self.shared.inbox.recv_any().await
    }

    /// The next batch of any lane, if there is one now.
    #[must_use]
    pub fn try_recv_any(&self) -> Option<Batch> {
        self.shared.inbox.take_any()
    }

    /// Queues `message` for each of `peers` without waiting for any: a full lane refuses or drops
    /// for that peer alone, and raises [`PeerEvent::SlowPeer`]. Returns who refused, and why.
    ///
    /// A large message is shared between the peers, not copied.
    pub fn broadcast<'a>(
        &self,
        lane: Lane,
        message: &Bytes,
        peers: impl IntoIterator<Item = &'a Peer>,
    ) -> Vec<(NodeId, SendError)> {
        let send = |peer: &Peer| {
            let sent = peer.try_send_bytes(lane, message.clone());
            sent.err().map(|error| (peer.node(), error))
        };
        peers.into_iter().filter_map(send).collect()
    }

    /// Queues `message` for all peers; see [`broadcast`](Self::broadcast).
    pub fn broadcast_all(&self, lane: Lane, message: &Bytes) -> Vec<(NodeId, SendError)> {
        self.broadcast(lane, message, &self.peers())
    }

    /// The next datagram, and who sent it. Cancel-safe.
    pub async fn recv_datagram(&self) -> (NodeId, Bytes) {
        self.shared.datagrams.recv().await
    }

    /// Leaves in good order: stops listening, refuses new messages, tells the peers, waits until
    /// they have acknowledged everything, and closes. A peer that drains at the same time is heard
    /// out for as long as it sends. What has not been done `within` the time is given up and
    /// reported.
    ///
    /// What was received can still be taken afterwards; nothing more will come, so that a task
    /// which waits in [`recv`](Self::recv) then waits for ever.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        self.shared.is_draining.store(true, Ordering::Release);
        self.started.stop_listening();
        let drain = drain::drain(self.shared.peers(), within);
        let report = self.shared.runtime.run(drain).await.unwrap_or_default();
        self.shared.runtime.shutdown().await;
        report
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> MeshStatus {
        MeshStatus {
            cluster: self.shared.config.cluster.clone(),
            node: self.node(),
            incarnation: self.incarnation(),
            endpoints: self.endpoints().iter().map(Address::to_string).collect(),
            handshakes: self.shared.handshake_status(),
            missed_events: self.shared.events.missed_in_all(),
            peers: self.peers().iter().map(Peer::status).collect(),
        }
    }

    /// The same as text for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::prometheus(&self.status())
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.shared.runtime.stop();
        self.shared.close_peers();
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("node", &self.node()).finish_non_exhaustive()
    }
}
