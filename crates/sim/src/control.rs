//! A world step by step, for tests that want one certain order: hold messages, look at what is
//! pending, deliver this, discard that, fire this timer, crash here.
//!
//! What is held is between nodes: what agents of one node say to each other has no way on which it
//! could be. Credits and what else nodes tell each other are never held.
//!
//! ```
//! use std::time::Duration;
//! use dx_agents::{Agent, AgentId, Context, Directory, Message, NodeId, Registry};
//! use dx_sim::control::Which;
//! use dx_sim::{Sim, SimConfig};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! enum Cell { Relay(u64), Write(u64) }
//! impl Message for Cell { const NAME: &'static str = "cell"; }
//!
//! /// Keeps what was written last, if it is agent 3; the others pass it on.
//! #[derive(Default)]
//! struct Replica { value: u64 }
//! impl Agent for Replica {
//!     type Message = Cell;
//!     fn start(&mut self, _: &mut Context) {}
//!     fn message(&mut self, _: AgentId, say: Cell, cx: &mut Context) {
//!         match say {
//!             Cell::Relay(value) => cx.send(AgentId(3), Cell::Write(value)),
//!             Cell::Write(value) => self.value = value,
//!         }
//!     }
//! }
//!
//! let agents = r#"[{ "id": 1, "kind": "replica", "node": 1 }, { "id": 2, "kind": "replica", "node": 2 },
//!                  { "id": 3, "kind": "replica", "node": 3 }]"#;
//! let agents = serde_json::from_str::<Vec<_>>(agents)?;
//! let registry = Registry::new().kind("replica", |_, _| Ok(Replica::default()));
//! let mut sim = Sim::new(SimConfig::seeded(1), Directory::new(agents), registry)?;
//! let a_while = Duration::from_millis(50);
//! sim.run_for(a_while)?;
//!
//! // Both writes are under way, and none arrives by itself.
//! sim.hold(Which::all().to(AgentId(3)));
//! for writer in [1, 2] {
//!     let port = sim.port_on(NodeId(writer));
//!     sim.send(port, AgentId(u64::from(writer)), Cell::Relay(u64::from(writer)))?;
//! }
//! sim.run_for(a_while)?;
//! assert_eq!(sim.held().len(), 2);
//!
//! // 1. The second writer's comes first. 2. The replica crashes over it. 3. The first one's comes.
//! sim.deliver_where(|_, say: &Cell| matches!(say, Cell::Write(2)))?;
//! sim.run_for(Duration::ZERO)?;
//! assert_eq!(sim.agent::<Replica>(AgentId(3)).map(|it| it.value), Some(2));
//! sim.crash_node(NodeId(3));
//! sim.restart_node(NodeId(3), Duration::ZERO);
//! sim.release_all();
//! sim.run_for(Duration::from_secs(5))?;
//! // It was told to the life that is over, and a session does not repeat that to the next one.
//! assert_eq!(sim.agent::<Replica>(AgentId(3)).map(|it| it.value), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pending;
mod timers;
mod which;

use std::any::Any;
use std::fmt;

use dx_agents::message::Body;
use dx_agents::remote::credit::Amount;
use dx_agents::{AgentId, Lane, Message, NodeId, TimerKey};

use crate::network::{Frame, Line, Parcel, copy_of};
use crate::schedule::Due;
use crate::sim::Sim;
use crate::stuck::Hindrance;

pub use pending::{Pending, Thing};
pub use which::Which;

/// A message between nodes that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub number: u32,
    /// From which node.
    pub from_node: NodeId,
    /// To which node.
    pub to_node: NodeId,
    /// From whom.
    pub from: AgentId,
    /// To whom.
    pub to: AgentId,
    /// Its lane.
    pub lane: Lane,
    /// The name of its type, where it is known without decoding.
    pub name: Option<&'static str>,
    /// Whether it is an answer.
    pub is_answer: bool,
    /// Whether it is a datagram, of which there may be two.
    pub is_datagram: bool,
}

/// A step cannot be taken as asked. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// It is not held, or not any more.
    #[error("message {0} is not held: `held` lists those that are")]
    NotHeld(u32),
    /// No message that is held is of this type and as described.
    #[error("no message that is held is a `{0}` as described: `held` lists those that are")]
    NoneLike(&'static str),
    /// Messages of one sender to one receiver arrive in order.
    #[error(
        "message {0} comes behind message {1} of the same sender and receiver: deliver that first"
    )]
    OutOfOrder(u32, u32),
    /// Something else is in the way.
    #[error("message {number} cannot come to node {to}: the node or the way to it {because}")]
    Blocked {
        /// The message.
        number: u32,
        /// Where it would go.
        to: NodeId,
        /// What is in the way.
        because: Hindrance,
    },
    /// Its session or its sender's life is over: it can only be lost.
    #[error("message {0} can only be lost: its session is over, or its sender crashed over it")]
    Over(u32),
    /// A session delivers once.
    #[error(
        "message {0} is no datagram: sessions deliver once; `datagram_kinds` of the configuration says whose messages are datagrams"
    )]
    NotADatagram(u32),
    /// It was not held so.
    #[error("nothing is held by this: let go what was given to `hold`")]
    NoSuchHold,
    /// It has not set this timer.
    #[error("agent {agent} has no timer {}: `timers` lists those that it has", .key.0)]
    NoTimer {
        /// The agent.
        agent: AgentId,
        /// The timer.
        key: TimerKey,
    },
    /// Its node is down or stands still.
    #[error("agent {0} cannot run now: its node is down or stands still")]
    CannotRun(AgentId),
}

impl Sim {
    /// From now on these messages between nodes come no further than to their receiver's node,
    /// until they are [delivered](Self::deliver_held) or [let go](Self::unhold).
    pub fn hold(&mut self, which: Which) {
        self.holds.push(which);
    }

    /// Holds everything that agents of different nodes say to each other.
    pub fn hold_all(&mut self) {
        self.hold(Which::all());
    }

    /// Lets go what was held by this, unless it is held by something else as well. It goes on in
    /// the order in which it came, before all that comes later.
    ///
    /// # Errors
    /// [`ControlError::NoSuchHold`].
    pub fn unhold(&mut self, which: &Which) -> Result<(), ControlError> {
        let at = self.holds.iter().position(|it| it == which);
        self.holds.remove(at.ok_or(ControlError::NoSuchHold)?);
        self.let_unheld_go();
        Ok(())
    }

    /// Lets everything go.
    pub fn release_all(&mut self) {
        self.holds.clear();
        self.let_unheld_go();
    }

    /// Messages that a test holds or that have come as far as they can otherwise: by the nodes that
    /// they come from and go to, and of two nodes in the order in which they came.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let ways = self.links.pairs.iter().flat_map(|pair| &pair.ways);
        let numbers = ways.flat_map(|way| &way.held);
        let mut held: Vec<Held> = numbers.filter_map(|number| self.look_at(*number)).collect();
        held.sort_by_key(|held| (held.from_node, held.to_node));
        held
    }

    /// The first message that is held, of this type and as described.
    ///
    /// # Errors
    /// [`ControlError::NoneLike`].
    pub fn find_held<M: Message>(
        &self,
        mut is_it: impl FnMut(&Held, &M) -> bool,
    ) -> Result<Held, ControlError> {
        let mut held = self.held().into_iter();
        let found = held.find(|held| {
            let body = self.links.parcels.get(held.number).and_then(|it| body_of(&it.frame));
            body.is_some_and(|body| read(body, |message| is_it(held, message)))
        });
        found.ok_or(ControlError::NoneLike(M::NAME))
    }

    /// Delivers one message that is held; what it causes is next to happen: `run_for(ZERO)` lets
    /// the agent handle it.
    ///
    /// # Errors
    /// If it is not held, comes behind another one, or cannot arrive.
    pub fn deliver_held(&mut self, number: u32) -> Result<(), ControlError> {
        let (pair, way, at) = self.find(number)?;
        let link = &self.links.pairs[pair as usize];
        let (held, to) = (&link.ways[way].held, link.nodes[1 - way]);
        let Some(parcel) = self.links.parcels.get(number) else {
            return Err(ControlError::NotHeld(number));
        };
        let is_datagram = matches!(parcel.frame, Frame::Datagram(_));
        let line = self.line_of(number);
        let before = held.iter().take(at).find(|it| self.line_of(**it) == line);
        if let (Some(first), false) = (before, is_datagram) {
            return Err(ControlError::OutOfOrder(number, *first));
        }
        let is_over = parcel.session != link.session || self.now > link.ways[way].ends_at;
        if is_over && !is_datagram && !self.is_of_bytes() {
            return Err(ControlError::Over(number));
        }
        // A datagram needs no link.
        let obstacle = self.obstacle(pair, way);
        let obstacle = obstacle.filter(|it| !(is_datagram && *it == Hindrance::NoLink));
        if let Some(because) = obstacle {
            let to = self.nodes[to as usize].id;
            return Err(ControlError::Blocked { number, to, because });
        }
        self.links.pairs[pair as usize].ways[way].held.remove(at);
        self.let_in(number);
        Ok(())
    }

    /// Delivers the [first](Self::find_held) message that is as described.
    ///
    /// # Errors
    /// If there is none, or it cannot be [delivered](Self::deliver_held).
    pub fn deliver_where<M: Message>(
        &mut self,
        is_it: impl FnMut(&Held, &M) -> bool,
    ) -> Result<Held, ControlError> {
        let held = self.find_held(is_it)?;
        self.deliver_held(held.number)?;
        Ok(held)
    }

    /// Discards one message that is held. A session never does that to a single message: it shows
    /// what an agent makes of it.
    ///
    /// # Errors
    /// [`ControlError::NotHeld`]; nothing has changed.
    pub fn discard_held(&mut self, number: u32) -> Result<(), ControlError> {
        let (pair, way, at) = self.find(number)?;
        let link = &mut self.links.pairs[pair as usize];
        link.ways[way].held.remove(at);
        let nodes = [link.nodes[way], link.nodes[1 - way]];
        let parcel = self.links.parcels.take(number).ok_or(ControlError::NotHeld(number))?;
        self.tell_frame_lost(&parcel.frame);
        match parcel.frame {
            Frame::Letter(outgoing) => {
                self.links.tally.lost += 1;
                // It takes no place in the mailbox.
                let freed = Amount { messages: 1, bytes: outgoing.bytes };
                self.give_back(nodes[0], nodes[1], outgoing.to, freed);
            }
            Frame::Datagram(_) => self.links.tally.dropped += 1,
            _ => self.links.tally.lost += 1,
        }
        Ok(())
    }

    /// Discards the [first](Self::find_held) message that is as described.
    ///
    /// # Errors
    /// [`ControlError::NoneLike`].
    pub fn discard_where<M: Message>(
        &mut self,
        is_it: impl FnMut(&Held, &M) -> bool,
    ) -> Result<Held, ControlError> {
        let held = self.find_held(is_it)?;
        self.discard_held(held.number)?;
        Ok(held)
    }

    /// Makes a second one of a datagram that is held: its number. It is held behind the first.
    ///
    /// # Errors
    /// If it is not held, or no datagram.
    pub fn duplicate_held(&mut self, number: u32) -> Result<u32, ControlError> {
        let (pair, way, at) = self.find(number)?;
        let copy = match self.links.parcels.get(number).map(|parcel| &parcel.frame) {
            Some(Frame::Datagram(outgoing)) => copy_of(outgoing),
            _ => None,
        };
        let frame = Frame::Datagram(copy.ok_or(ControlError::NotADatagram(number))?);
        let parcel = Parcel { pair, up: way == 0, session: 0, frame };
        let second = self.links.parcels.put(parcel);
        self.links.pairs[pair as usize].ways[way].held.insert(at + 1, second);
        self.links.tally.duplicated += 1;
        Ok(second)
    }

    /// Whether a test holds this frame between these two nodes.
    #[inline]
    pub(crate) fn is_by_hand(&self, from: u32, to: u32, frame: &Frame) -> bool {
        !self.holds.is_empty() && frame.is_agents_own() && self.is_any_hold_for(from, to, frame)
    }

    #[cold]
    fn is_any_hold_for(&self, from: u32, to: u32, frame: &Frame) -> bool {
        let nodes = [from, to].map(|place| self.nodes[place as usize].id);
        let (from, to, _) = frame.line();
        let Some(lane) = lane_of(frame) else { return false };
        let kind = self.directory.agent(to).map(|spec| &*spec.kind);
        self.holds.iter().any(|which| which.covers(nodes, [from, to], kind, lane))
    }

    fn let_unheld_go(&mut self) {
        for pair in 0..self.links.pairs.len() as u32 {
            self.let_way_go(pair, 0);
            self.let_way_go(pair, 1);
        }
    }

    /// What no test holds goes on, if the way is free; a datagram does in any case.
    pub(crate) fn let_way_go(&mut self, pair: u32, way: usize) {
        let is_free = self.obstacle(pair, way).is_none();
        let link = &mut self.links.pairs[pair as usize];
        let (from, to) = (link.nodes[way], link.nodes[1 - way]);
        for parcel in std::mem::take(&mut link.ways[way].held) {
            let Some(Parcel { frame, .. }) = self.links.parcels.get(parcel) else { continue };
            let goes = is_free || matches!(frame, Frame::Datagram(_));
            if goes && !self.is_by_hand(from, to, frame) {
                self.schedule.add_first(self.now, Due::Arrival { parcel });
            } else {
                self.links.pairs[pair as usize].ways[way].held.push_back(parcel);
            }
        }
    }

    fn find(&self, number: u32) -> Result<(u32, usize, usize), ControlError> {
        let parcel = self.links.parcels.get(number).ok_or(ControlError::NotHeld(number))?;
        let (pair, way) = (parcel.pair, usize::from(!parcel.up));
        let held = &self.links.pairs[pair as usize].ways[way].held;
        let at = held.iter().position(|it| *it == number);
        Ok((pair, way, at.ok_or(ControlError::NotHeld(number))?))
    }

    fn line_of(&self, number: u32) -> Option<Line> {
        self.links.parcels.get(number).map(|parcel| parcel.frame.line())
    }

    /// What an agent says in a parcel; `None` if it is what nodes say.
    pub(crate) fn look_at(&self, number: u32) -> Option<Held> {
        let Parcel { pair, up, frame, .. } = self.links.parcels.get(number)?;
        let lane = lane_of(frame)?;
        let nodes = self.links.pairs[*pair as usize].nodes.map(|at| self.nodes[at as usize].id);
        let [from_node, to_node] = if *up { nodes } else { [nodes[1], nodes[0]] };
        let (from, to, _) = frame.line();
        let name = match body_of(frame) {
            Some(Body::Typed(message)) => Some(message.name()),
            _ => None,
        };
        let is_answer = matches!(frame, Frame::Answer { .. });
        let is_datagram = matches!(frame, Frame::Datagram(_));
        Some(Held { number, from_node, to_node, from, to, lane, name, is_answer, is_datagram })
    }
}

fn body_of(frame: &Frame) -> Option<&Body> {
    match frame {
        Frame::Letter(outgoing) | Frame::Datagram(outgoing) => Some(&outgoing.body),
        Frame::Answer { answer: Ok(body), .. } => Some(body),
        _ => None,
    }
}

/// The lane of what an agent says; an answer without a body is what its node says, and urgent.
fn lane_of(frame: &Frame) -> Option<Lane> {
    match frame {
        Frame::Letter(outgoing) | Frame::Datagram(outgoing) => Some(outgoing.lane),
        Frame::Answer { answer, .. } => Some(answer.as_ref().map_or(Lane::Urgent, Body::lane)),
        _ => None,
    }
}

/// Looks at a message if it is one of this type.
fn read<M: Message>(body: &Body, look: impl FnOnce(&M) -> bool) -> bool {
    match body {
        Body::Typed(message) => {
            let message: &dyn Any = &**message;
            message.downcast_ref().is_some_and(look)
        }
        Body::Wire(wire) => wire.encoded.decode().is_ok_and(|message| look(&message)),
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, from_node, to_node, from, to, lane, name, .. } = self;
        let what = match (self.is_answer, self.is_datagram) {
            (true, _) => "answer",
            (false, true) => "datagram",
            (false, false) => "message",
        };
        write!(f, "{what} {number} from {from} on {from_node} to {to} on {to_node}, {lane}")?;
        match name {
            Some(name) => write!(f, ": {name}"),
            None => Ok(()),
        }
    }
}
