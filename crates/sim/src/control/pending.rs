//! All that is to come, to be read.

use std::fmt;
use std::time::Duration;

use dx_agents::{AgentId, AskId, NodeId, TimerKey};

use super::Held;
use crate::schedule::{Due, NodeDue};
use crate::sim::Sim;

/// Something that is to come. `Display` says it in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When, in the world's time; `None` for what is held.
    pub at: Option<Duration>,
    /// What.
    pub what: Thing,
}

/// What can be to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A message between nodes.
    Message(Held),
    /// An agent's timer.
    Timer(AgentId, TimerKey),
    /// The end of an agent's question.
    Deadline(AgentId, AskId),
    /// Offloaded work of an agent ends.
    Work(AgentId),
    /// A core of a node is free for the next step.
    Step(NodeId),
    /// A node's commit starts or returns.
    Commit(NodeId),
    /// An agent that failed starts anew.
    Restart(AgentId),
    /// A node starts.
    Boot(NodeId),
    /// A node goes on.
    Resume(NodeId),
    /// A node crashes, at the latest.
    Crash(NodeId),
}

impl Sim {
    /// What is held, and then what is due, in the order of time; what nodes tell each other by
    /// themselves and the plan of faults left out.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let held = self.held().into_iter();
        let mut all: Vec<Pending> =
            held.map(|held| Pending { at: None, what: Thing::Message(held) }).collect();
        for (at, due) in self.schedule.in_order() {
            if let Some(what) = self.thing(&due) {
                all.push(Pending { at: Some(Duration::from_nanos(at)), what });
            }
        }
        all
    }

    fn thing(&self, due: &Due) -> Option<Thing> {
        let id = |slot: u32| self.resident(slot).map(|resident| resident.cell.id());
        let node = |place: u32| self.nodes[place as usize].id;
        let lives = |place: u32, life: u32| self.nodes[place as usize].life == life;
        Some(match *due {
            Due::Arrival { parcel } => Thing::Message(self.look_at(parcel)?),
            Due::Timer { slot, key, generation, .. } => {
                self.resident(slot)?.cell.has_timer(key, generation).then_some(())?;
                Thing::Timer(id(slot)?, key)
            }
            Due::Deadline { slot, ask, .. } => {
                self.resident(slot)?.cell.has_asked(ask).then_some(())?;
                Thing::Deadline(id(slot)?, ask)
            }
            Due::Work { slot, .. } => Thing::Work(id(slot)?),
            Due::Restart { slot } => Thing::Restart(id(slot)?),
            Due::Core { node: place, life, .. } if lives(place, life) => Thing::Step(node(place)),
            Due::Commit { node: place, life } if lives(place, life) => Thing::Commit(node(place)),
            Due::Node { node: place, life, what } if lives(place, life) => match what {
                NodeDue::Boot => Thing::Boot(node(place)),
                NodeDue::Resume => Thing::Resume(node(place)),
                NodeDue::Crash => Thing::Crash(node(place)),
            },
            // What a liar holds back is nobody's to see.
            Due::Core { .. }
            | Due::Commit { .. }
            | Due::Node { .. }
            | Due::Late { .. }
            | Due::PortDeadline { .. }
            | Due::Link { .. }
            | Due::Bytes(_)
            | Due::Fault(_) => return None,
        })
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at:?} ")?,
            None => write!(f, "held ")?,
        }
        match self.what {
            Thing::Message(held) => write!(f, "{held}"),
            Thing::Timer(agent, key) => write!(f, "timer {} of {agent}", key.0),
            Thing::Deadline(agent, ask) => write!(f, "end of question {} of {agent}", ask.0),
            Thing::Work(agent) => write!(f, "work of {agent} ends"),
            Thing::Step(node) => write!(f, "{node} has time for a step"),
            Thing::Commit(node) => write!(f, "commit of {node}"),
            Thing::Restart(agent) => write!(f, "{agent} starts anew"),
            Thing::Boot(node) => write!(f, "{node} starts"),
            Thing::Resume(node) => write!(f, "{node} goes on"),
            Thing::Crash(node) => write!(f, "{node} crashes"),
        }
    }
}
