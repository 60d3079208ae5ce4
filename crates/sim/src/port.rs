//! The outside world's way to agents: a client for tests, driven by hand.

use std::collections::{BTreeSet, VecDeque};

use dx_agents::event::Envelope;
use dx_agents::{AgentId, Answer, AskError, AskId, Down, Refusal};

/// A port's address in its simulation: what it may ask and hear is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    pub(crate) place: u32,
    pub(crate) id: AgentId,
}

impl Port {
    /// Its address as an agent's.
    #[must_use]
    pub fn id(self) -> AgentId {
        self.id
    }
}

/// What a port hears.
#[derive(Debug)]
pub enum Heard {
    /// A message; [`Envelope::reply_to`] says where its answer goes.
    Message(Envelope),
    /// A question has its answer, or will have none.
    Reply(AskId, Result<Answer, AskError>),
    /// An agent that it watches is down.
    Down(AgentId, Down),
    /// Something it sent came back later.
    Refused(Refusal),
    /// An agent that had no room has room again.
    Writable(AgentId),
}

/// What the simulation keeps of a port.
#[derive(Debug, Default)]
pub(crate) struct Inlet {
    pub id: AgentId,
    pub node: u32,
    pub heard: VecDeque<Heard>,
    /// Messages among them.
    pub messages: usize,
    pub open: BTreeSet<AskId>,
    pub asked: u64,
    /// Who found no room.
    pub waiting: BTreeSet<AgentId>,
    pub watchers: BTreeSet<AgentId>,
}
