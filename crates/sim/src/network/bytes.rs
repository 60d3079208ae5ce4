//! The second fidelity: real sessions between nodes, over connections made of bytes.
//!
//! ```text
//! leave -> Speech -> Outbox -> Session -> pipes ~~~ pipes -> Session -> accept
//!                                |     torn, stalled, broken, half-open
//!          Dialer, Handshake, decide: dialed again, by the rules of the mesh
//! ```
//!
//! Encoding and decoding of frames, handshake, framing, lanes, numbers, acknowledgements, credits,
//! resumption and the tie-break are the code that runs between real nodes. What the simulator has
//! of its own is what stands there between that code and the operating system: pipes in the place
//! of sockets, and turns in the place of tasks. A turn of an [`End`] is one of the mesh's task of a
//! peer: links that have come, then reading, then time, then writing.

mod end;
mod faults;
mod flow;
mod frames;
mod greet;
mod host;
mod link;
mod lives;
mod news;
mod pipe;
mod pipes;
mod speech;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::remote::parcel;
use dx_transport::buffer::BufferPool;
use dx_transport::id::SessionNonce;
use dx_transport::session::{SessionConfig, Timing};
use dx_transport::time::Instant;

pub(crate) use self::end::End;
pub use self::pipes::{PipeTally, Pipes};
pub(crate) use self::speech::Speech;
pub use self::wire::Opening;
use self::wire::Wire;
use super::Frame;
use crate::config::Fidelity;
use crate::schedule::Due;
use crate::sim::Sim;
use crate::trace::fold;

/// All connections between nodes.
#[derive(Default)]
pub(crate) struct Wires {
    config: Option<Arc<SessionConfig>>,
    all: BTreeMap<u32, Wire>,
    made: u32,
    nonces: u64,
    /// By place, whether the host of a node that crashed answers for it.
    refuses: BTreeMap<u32, bool>,
    pub tally: PipeTally,
}

/// What is due about bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesDue {
    /// A node looks at its conversation with another: `true` for the one with the lower place.
    Turn(u32, bool),
    /// The same, since its time has come.
    Alarm(u32, bool),
    /// Something arrives on a connection: `true` for what the lower place has written.
    Arrival(u32, bool),
    /// A connection opens.
    Opening(u32, Opening),
}

impl BytesDue {
    /// What keeps its order with others of the same number; `None` if it comes at once.
    pub(crate) fn order(self) -> Option<u64> {
        match self {
            Self::Turn(..) | Self::Alarm(..) => None,
            Self::Arrival(wire, up) => Some(u64::from(wire) << 1 | u64::from(up)),
            Self::Opening(wire, _) => Some(u64::from(wire) << 1),
        }
    }
}

/// One side of a pair, in a turn of it.
#[derive(Clone, Copy)]
struct Side {
    pair: u32,
    /// Which side: also the way that leaves it.
    at: usize,
    /// The places of this node and the other.
    node: u32,
    peer: u32,
    /// What this node's clock shows.
    now: Instant,
}

impl Sim {
    /// What the connections between nodes did; nothing but with [`Fidelity::Bytes`].
    #[must_use]
    pub fn pipes(&self) -> PipeTally {
        let mut tally = self.links.wires.tally;
        let ends = self.links.pairs.iter().flat_map(|pair| pair.ends.iter().flatten());
        tally.replayed_frames += ends.map(|end| end.replayed_frames()).sum::<u64>();
        tally
    }

    #[inline]
    pub(crate) fn is_of_bytes(&self) -> bool {
        self.config.network.fidelity == Fidelity::Bytes
    }

    /// A node says something to another: the session takes it as soon as it is due.
    pub(super) fn say(&mut self, node: u32, at: u32, frame: &Frame) {
        let (pair, side) = self.links.make(node, at);
        self.introduce(pair);
        // Whoever made it has seen that it can be encoded.
        let (lanes, frame) = match frames::encode(frame, self.nodes[at as usize].incarnation) {
            Ok(encoded) => encoded,
            Err(error) => return self.fail("what was measured can be sent", error.to_string()),
        };
        let departs = self.departs.max(self.now);
        self.links.tally.sent += 1;
        self.links.pairs[pair as usize].ways[side].speech.say(departs, lanes, &frame);
        self.ask_turn(pair, side, departs);
    }

    pub(crate) fn bytes_due(&mut self, due: BytesDue) {
        match due {
            BytesDue::Turn(pair, up) => {
                let side = usize::from(!up);
                let speech = &mut self.links.pairs[pair as usize].ways[side].speech;
                // A search may let other things come first.
                if speech.turn.take_if(|at| *at <= self.now).is_some() {
                    self.take_turn(pair, side);
                }
            }
            BytesDue::Alarm(pair, up) => {
                let side = usize::from(!up);
                let now = self.now;
                let end = self.links.pairs[pair as usize].ends[side].as_mut();
                if end.is_some_and(|end| end.alarm.take_if(|at| *at <= now).is_some()) {
                    self.take_turn(pair, side);
                }
            }
            BytesDue::Arrival(wire, up) => self.bytes_arrive(wire, usize::from(!up)),
            BytesDue::Opening(wire, step) => self.opens(wire, step),
        }
    }

    /// A side is to look at its conversation at `at`, or before.
    fn ask_turn(&mut self, pair: u32, side: usize, at: u64) {
        let speech = &mut self.links.pairs[pair as usize].ways[side].speech;
        if speech.turn.is_none_or(|turn| at < turn) {
            speech.turn = Some(at);
            let due = Due::Bytes(BytesDue::Turn(pair, side == 0));
            self.schedule.add(at, due, &mut self.choices);
        }
    }

    fn take_turn(&mut self, pair: u32, side: usize) {
        let link = &mut self.links.pairs[pair as usize];
        let (node, peer) = (link.nodes[side], link.nodes[1 - side]);
        if !self.nodes[node as usize].is_running() {
            return;
        }
        let Some(mut end) = link.ends[side].take() else { return };
        let now = Instant(self.nodes[node as usize].clock.at(self.now));
        let side = Side { pair, at: side, node, peer, now };
        self.departs = self.now;
        loop {
            let mut has_more = self.greet(&mut end, side);
            has_more |= self.read_link(&mut end, side);
            has_more |= self.keep_time(&mut end, side);
            has_more |= self.write_link(&mut end, side);
            if !has_more {
                break;
            }
        }
        self.set_alarm(&mut end, side);
        let speech = &self.links.pairs[pair as usize].ways[side.at].speech;
        if let Some(at) = speech.next_at() {
            self.ask_turn(pair, side.at, at.max(self.now + 1));
        }
        if self.nodes[node as usize].life == end.life {
            self.links.pairs[pair as usize].ends[side.at] = Some(end);
        }
    }

    /// What all sessions of this world share.
    fn session_config(&mut self) -> Arc<SessionConfig> {
        let network = &self.config.network;
        let make = || {
            let timing = Timing {
                ping_interval: network.silence / 3,
                silence: network.silence,
                session_ttl: network.session_ttl,
                ..Timing::default()
            };
            let pool = BufferPool::new(POOL_BYTES);
            Arc::new(SessionConfig { lanes: parcel::lanes(), timing, pool })
        };
        Arc::clone(self.links.wires.config.get_or_insert_with(make))
    }

    /// A number that nobody can guess, and that is the same in every run.
    fn fresh(&mut self) -> u64 {
        self.links.wires.nonces += 1;
        fold(fold(self.config.seed, NONCES), self.links.wires.nonces)
    }

    fn fresh_nonce(&mut self) -> SessionNonce {
        SessionNonce(self.fresh())
    }
}

/// Unused receive buffers that are kept for all nodes of a world: a few for each of many sessions.
const POOL_BYTES: usize = 4 << 20;

/// Sets nonces apart from all else that comes of the seed.
const NONCES: u64 = 0x006e_6f6e_6365_7321;
