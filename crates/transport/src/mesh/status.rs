//! A snapshot of a mesh, for people and for metrics.

use serde::Serialize;

use crate::id::{ClusterId, Incarnation, NodeId};

/// A mesh at one moment. All counters grow for as long as the mesh, or the peer, is known.
#[derive(Clone, Debug, Serialize)]
pub struct MeshStatus {
    /// Its cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it listens.
    pub endpoints: Vec<String>,
    /// How links came up, and how not.
    pub handshakes: HandshakeStatus,
    /// Events that were dropped because nobody took them.
    pub missed_events: u64,
    /// Its peers, in the order of their ids.
    pub peers: Vec<PeerStatus>,
}

/// Handshakes of a mesh, over all peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HandshakeStatus {
    /// Completed as the side that dialed.
    pub dialed: u64,
    /// Completed as the side that accepted.
    pub accepted: u64,
    /// Failed as the side that dialed, refused connections included.
    pub dial_failures: u64,
    /// Failed as the side that accepted.
    pub accept_failures: u64,
    /// Connections closed at once because of a limit.
    pub limited: u64,
    /// Pending ones on the accepting side that gave their place to a caller from an address which
    /// held fewer. They count as failed, too.
    pub displaced: u64,
    /// Callers that had to prove their address first, while places for pending ones were short.
    pub retried: u64,
    /// Pending now on the accepting side.
    pub pending: u64,
}

/// How things stand with a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It was never connected.
    #[default]
    Unknown,
    /// It is connected.
    Up,
    /// Its link broke a moment ago; its session goes on over the next one.
    Relinking,
    /// It is down; `Down` said why.
    Down,
}

/// One peer at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// How things stand.
    pub state: PeerState,
    /// Its last known life.
    pub incarnation: Option<Incarnation>,
    /// What carries its link, if there is one.
    pub transport: Option<&'static str>,
    /// The last round trip through both sessions, in microseconds.
    pub rtt_us: Option<u64>,
    /// The round trip as the link's transport measures it, in microseconds; 0 if it does not. This
    /// and the next two are up to a second old.
    pub path_rtt_us: u64,
    /// Packets or segments that the link's transport sent again.
    pub retransmits: u64,
    /// The congestion window of the link's transport, in bytes; 0 if it does not say.
    pub congestion_window: u64,
    /// Links that took the place of an earlier one.
    pub reconnects: u64,
    /// Sessions that began.
    pub sessions: u64,
    /// Links closed because the peer broke the protocol.
    pub violations: u64,
    /// Time that this process did not run and that was not held against the peer, in
    /// microseconds.
    pub stalled_us: u64,
    /// Datagrams that were dropped for want of room.
    pub dropped_datagrams: u64,
    /// Its lanes.
    pub lanes: Vec<LaneStatus>,
}

/// One lane of one peer at one moment. The fields in the present tense are gauges.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    /// The lane's name.
    pub name: &'static str,
    /// Messages given to links, each once.
    pub sent_messages: u64,
    /// Bytes of their frames' bodies.
    pub sent_bytes: u64,
    /// Frames that carried them.
    pub sent_frames: u64,
    /// Messages received, each once.
    pub received_messages: u64,
    /// Bytes of their frames' bodies.
    pub received_bytes: u64,
    /// Frames sent again over a new link.
    pub replayed_frames: u64,
    /// Frames that came again, and were dropped.
    pub duplicate_frames: u64,
    /// Messages reported lost.
    pub lost_messages: u64,
    /// Messages that the lane's policy dropped before they were sent.
    pub dropped_messages: u64,
    /// Messages that were not accepted because the queue was full.
    pub refused_messages: u64,
    /// Times that sending stopped for want of the peer's credit.
    pub credit_stalls: u64,
    /// Times that sending stopped because the replay bound was reached.
    pub replay_stalls: u64,
    /// Bytes that wait to be sent.
    pub queued_bytes: u64,
    /// Messages that wait to be sent.
    pub queued_messages: u64,
    /// Bytes sent and unacknowledged.
    pub unacked_bytes: u64,
    /// Bytes received and not taken by the application.
    pub held_bytes: u64,
}
