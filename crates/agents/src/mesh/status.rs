//! How a node stands, for people and machines.

use std::sync::atomic::Ordering;

use dx_transport::id::{Incarnation, NodeId};
use dx_transport::mesh::{LaneStatus, MeshStatus, PeerState, PeerStatus};
use serde::{Deserialize, Serialize};

use crate::id::AgentId;
use crate::mesh::link::{Depth, Link};
use crate::mesh::links::Links;
use crate::runtime::RuntimeStatus;

/// A node at one moment. Counters grow for as long as it lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it listens.
    pub endpoints: Vec<String>,
    /// Nodes that are not up and are to be.
    pub missing: Vec<NodeId>,
    /// The others, in the order of their ids.
    pub links: Vec<LinkStatus>,
    /// Questions of its agents to other nodes that are open.
    pub open_asks: usize,
    /// Its agents.
    pub agents: RuntimeStatus,
}

/// The way to another node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other node.
    pub node: NodeId,
    /// `up`, `down`, `relinking` or `unknown`.
    pub state: LinkState,
    /// Its life, if it was ever up.
    pub incarnation: Option<Incarnation>,
    /// What carries the link, if there is one.
    pub transport: Option<String>,
    /// The last round trip, in microseconds.
    pub rtt_us: Option<u64>,
    /// Links that took the place of an earlier one.
    pub reconnects: u64,
    /// Sessions that began.
    pub sessions: u64,
    /// What broke the rules: frames, forged senders, messages without credit, links.
    pub violations: u64,
    /// The lanes.
    pub lanes: Vec<LaneCounts>,
    /// What is out, or waits, for its agents, in the order of their ids.
    pub outboxes: Vec<OutboxStatus>,
}

/// Whether a node is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It never was.
    #[default]
    Unknown,
    /// It is.
    Up,
    /// The link broke a moment ago, and the conversation goes on over the next one.
    Relinking,
    /// It is not.
    Down,
}

/// One lane of a link. Rates are differences of two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCounts {
    /// Its name.
    pub lane: String,
    /// Frames sent, each once.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames received, each once.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that were lost with a session.
    pub lost: u64,
    /// Frames that wait to be sent.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Bytes that are sent and not acknowledged.
    pub unacked_bytes: u64,
    /// Bytes that were received and not taken.
    pub held_bytes: u64,
}

/// What is on its way to an agent of another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxStatus {
    /// The agent.
    pub agent: AgentId,
    /// Messages sent that its node has not said to be handled.
    pub out: u64,
    /// Messages that may be.
    pub share: u64,
    /// Messages that wait here, for credit or for room.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
}

pub fn of(
    mesh: &MeshStatus,
    links: &Links,
    missing: Vec<NodeId>,
    agents: RuntimeStatus,
) -> NodeStatus {
    let status = |peer: &PeerStatus| link(peer, links.find(peer.node).as_deref());
    NodeStatus {
        node: mesh.node,
        incarnation: mesh.incarnation,
        endpoints: mesh.endpoints.clone(),
        missing,
        links: mesh.peers.iter().map(status).collect(),
        open_asks: links.asks().len(),
        agents,
    }
}

fn link(peer: &PeerStatus, link: Option<&Link>) -> LinkStatus {
    let broken = link.map_or(0, |link| link.violations.load(Ordering::Relaxed));
    let outboxes = link.map(Link::depths).unwrap_or_default();
    LinkStatus {
        node: peer.node,
        state: match peer.state {
            PeerState::Unknown => LinkState::Unknown,
            PeerState::Up => LinkState::Up,
            PeerState::Relinking => LinkState::Relinking,
            PeerState::Down => LinkState::Down,
        },
        incarnation: peer.incarnation,
        transport: peer.transport.map(str::to_owned),
        rtt_us: peer.rtt_us,
        reconnects: peer.reconnects,
        sessions: peer.sessions,
        violations: peer.violations + broken,
        lanes: peer.lanes.iter().map(lane).collect(),
        outboxes: outboxes.iter().map(outbox).collect(),
    }
}

fn lane(lane: &LaneStatus) -> LaneCounts {
    LaneCounts {
        lane: lane.name.to_owned(),
        sent: lane.sent_messages,
        sent_bytes: lane.sent_bytes,
        received: lane.received_messages,
        received_bytes: lane.received_bytes,
        lost: lane.lost_messages,
        queued: lane.queued_messages,
        queued_bytes: lane.queued_bytes,
        unacked_bytes: lane.unacked_bytes,
        held_bytes: lane.held_bytes,
    }
}

fn outbox(depth: &Depth) -> OutboxStatus {
    OutboxStatus {
        agent: depth.agent,
        out: depth.out.messages,
        share: depth.share.messages,
        waiting: depth.waiting,
        waiting_bytes: depth.waiting_bytes,
    }
}
