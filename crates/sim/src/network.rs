//! The network between nodes, with the delivery that sessions give.
//!
//! ```text
//! send -> credit? -> way: backlog while there is no link, flight while there is -> arrival
//!           | no              (cut, clogged, paused: held, never lost)
//!         outbox -> refused, dropped                session over: the flight is lost, and told
//! ```
//!
//! Per (sender, receiver, lane) messages arrive in order and exactly once while the session lives,
//! whatever happens to the link. A link that is cut is noticed by silence, and both sides hear
//! `NoConnection`. Time, or a restart, ends a session: what had been sent and did not arrive is
//! lost, and both sides are told. Credits, outboxes and open questions are the very machines that
//! run between real nodes.
//!
//! That is the first fidelity, [`Promises`](crate::Fidelity::Promises). In the second the real
//! sessions run, and what is above them is the same: see `bytes`.

mod arrive;
mod bytes;
mod dispatch;
mod faults;
mod pair;
mod session;
mod waits;

use dx_agents::event::RefusedBecause;
use dx_agents::id::ReplyTo;
use dx_agents::message::Body;
use dx_agents::remote::credit::Amount;
use dx_agents::{AgentId, AskError, AskId, Down, Lane};
use rustc_hash::FxHashMap;

use self::bytes::Wires;
use self::pair::Pair;
use crate::slab::Slab;

pub use self::bytes::{BytesDue, PipeTally, Pipes};
pub(crate) use self::dispatch::copy_of;
pub use self::waits::CreditWait;

/// All links between nodes. They are made when they are used.
#[derive(Default)]
pub(crate) struct Links {
    pub pairs: Vec<Pair>,
    places: FxHashMap<(u32, u32), u32>,
    pub parcels: Slab<Parcel>,
    pub tally: Tally,
    /// What carries sessions, where those are real.
    pub wires: Wires,
}

/// What the network did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Parcels that set out.
    pub sent: u64,
    /// Parcels that arrived.
    pub arrived: u64,
    /// Parcels that were on their way when their session ended.
    pub lost: u64,
    /// Datagrams that were dropped.
    pub dropped: u64,
    /// Datagrams that came once more.
    pub duplicated: u64,
    /// Links that broke.
    pub broken: u64,
    /// Links that came back with the session they had.
    pub resumed: u64,
    /// Sessions that ended.
    pub ended: u64,
}

/// Something on its way.
pub(crate) struct Parcel {
    pub pair: u32,
    /// Whether it goes from the lower place to the higher.
    pub up: bool,
    /// The session it belongs to.
    pub session: u32,
    pub frame: Frame,
}

/// What nodes tell each other: the frames of the mesh.
pub(crate) enum Frame {
    Letter(Outgoing),
    /// Of no session: a datagram.
    Datagram(Outgoing),
    Answer {
        to: ReplyTo,
        from: AgentId,
        answer: Result<Body, AskError>,
    },
    Watch {
        who: AgentId,
        is_on: bool,
    },
    Down {
        who: AgentId,
        why: Down,
    },
    Grant {
        to: AgentId,
        freed: Amount,
        share: Amount,
    },
    Probe {
        to: AgentId,
        round: u64,
    },
    Held {
        to: AgentId,
        round: u64,
        held: Amount,
    },
}

/// A message on its way to another node's agent.
pub(crate) struct Outgoing {
    pub from: AgentId,
    pub to: AgentId,
    pub ask: Option<AskId>,
    pub body: Body,
    pub bytes: u64,
    pub hash: u64,
    pub lane: Lane,
}

impl Frame {
    /// Bytes on the wire, about: a head of the mesh's frames has 20 to 40.
    pub fn bytes(&self) -> u64 {
        const HEAD: u64 = 32;
        match self {
            Self::Letter(outgoing) | Self::Datagram(outgoing) => HEAD + outgoing.bytes,
            Self::Answer { answer: Ok(body), .. } => HEAD + body.weight() as u64,
            _ => HEAD,
        }
    }

    /// Whether it is what agents say, and not what nodes need to.
    pub fn is_agents_own(&self) -> bool {
        matches!(self, Self::Letter(_) | Self::Datagram(_) | Self::Answer { .. })
    }

    /// Whether it is an account of what the receiver may send, which it keeps for its life.
    pub fn is_of_credit(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Held { .. })
    }

    /// Frames of equal lines arrive in order: those of a sender and receiver in a lane, and those
    /// that nodes exchange.
    pub fn line(&self) -> Line {
        match self {
            Self::Letter(outgoing) | Self::Datagram(outgoing) => {
                (outgoing.from, outgoing.to, outgoing.lane as u8)
            }
            Self::Answer { to, from, answer } => {
                let lane = answer.as_ref().map_or(Lane::Urgent, Body::lane);
                (*from, to.agent, lane as u8)
            }
            _ => (AgentId(0), AgentId(0), u8::MAX),
        }
    }
}

/// See [`Frame::line`].
pub(crate) type Line = (AgentId, AgentId, u8);

/// Why a message did not leave.
pub(crate) enum Unsent {
    /// It goes back.
    Refused(RefusedBecause),
    /// It was dropped, and counted.
    Dropped,
}
