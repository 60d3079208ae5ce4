//! What waits for one agent, and how much of it: without a lock, and without its policy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Home, Pushed, Taken};
use crate::event::{Envelope, Event, Recovered, Refusal};
use crate::id::AgentId;
use crate::message::Body;
use crate::runtime::worker_handle::WorkerHandle;
use crate::spec::MailboxBounds;

/// All of it, as it is under the mailbox's lock.
pub struct Queue {
    pub messages: VecDeque<Weighed>,
    /// Bytes of `messages`.
    pub bytes: usize,
    /// Messages let in that are still with the agent's shared state.
    pub staged: usize,
    /// Grows when the agent restarts: what its shared state took in before is not for the new one.
    pub life: u32,
    pub system: VecDeque<Event>,
    /// What the agent begins with, until it has begun.
    pub start: Option<Box<Recovered>>,
    pub rare: Option<Box<Rare>>,
    /// Whether its worker knows that there is something.
    pub is_scheduled: bool,
    pub is_closed: bool,
    pub home: Home,
}

/// What most agents never need.
#[derive(Default)]
pub struct Rare {
    /// Sends of this agent that came back; one entry for each receiver, lane and reason.
    pub refusals: Vec<Refusal>,
    /// Entries of this agent that the journal holds durably.
    pub durable: Option<u64>,
    /// Who was refused and waits to hear of room.
    pub waiting: BTreeSet<AgentId>,
    pub watchers: BTreeSet<AgentId>,
    pub notes: BTreeMap<Arc<str>, u64>,
}

impl Rare {
    /// Whether a turn has to do with any of it.
    fn is_news(&self) -> bool {
        !self.refusals.is_empty() || self.durable.is_some() || !self.waiting.is_empty()
    }
}

impl Queue {
    pub fn put(&mut self, message: Weighed) {
        self.bytes += message.weight;
        self.messages.push_back(message);
    }

    pub fn put_back(&mut self, message: Weighed) {
        self.bytes += message.weight;
        self.messages.push_front(message);
    }

    pub fn has_only_messages(&self) -> bool {
        let has_news = self.rare.as_ref().is_some_and(|rare| rare.is_news());
        !has_news && self.start.is_none() && self.system.is_empty() && self.staged == 0
    }

    /// Hands over all messages, of which none is with the shared state. An idle agent keeps a small
    /// buffer, and a large one goes round: so a few messages are moved into it.
    pub fn hand_over(&mut self, taken: &mut Taken) {
        self.bytes = 0;
        if self.messages.len() > FEW || taken.messages.capacity() <= FEW {
            std::mem::swap(&mut self.messages, &mut taken.messages);
        } else {
            taken.messages.append(&mut self.messages);
        }
    }

    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub fn has_waiting(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.waiting.is_empty())
    }

    pub fn has_room(&self, weight: usize, bounds: &MailboxBounds) -> bool {
        let count = self.messages.len() + self.staged;
        count == 0 || (count < bounds.messages && self.bytes + weight <= bounds.bytes)
    }

    pub fn is_half_empty(&self, bounds: &MailboxBounds) -> bool {
        self.messages.len() + self.staged <= bounds.messages / 2 && self.bytes <= bounds.bytes / 2
    }

    pub fn make_room(&mut self, weight: usize, bounds: &MailboxBounds, lost: &mut Vec<Envelope>) {
        while !self.has_room(weight, bounds) {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.weight;
            lost.push(oldest.envelope);
        }
    }

    #[inline]
    pub fn schedule(&mut self, here: Option<&Arc<WorkerHandle>>) -> Pushed {
        if std::mem::replace(&mut self.is_scheduled, true) {
            Pushed::In
        } else if here.is_some_and(|here| Arc::ptr_eq(here, &self.home.worker)) {
            Pushed::WakeHere(self.home.slot)
        } else {
            Pushed::Wake(self.home.clone())
        }
    }
}

/// A message with its weight, which is asked for without a lock: it is code of others.
#[derive(Debug)]
pub struct Weighed {
    /// The message.
    pub envelope: Envelope,
    /// In bytes.
    pub weight: usize,
}

impl Weighed {
    /// What was said.
    pub fn of(envelope: Envelope) -> Self {
        let weight = envelope.body.weight();
        Self { envelope, weight }
    }

    /// A message that asks nothing.
    pub fn new(from: AgentId, body: Body) -> Self {
        Self::of(Envelope { from, ask: None, body })
    }

    /// What it says.
    #[cfg(feature = "mesh")]
    pub fn body(&self) -> &Body {
        &self.envelope.body
    }
}

/// What all of them weigh.
pub fn weight_of(messages: &VecDeque<Weighed>) -> usize {
    messages.iter().map(|message| message.weight).sum()
}

/// Room for so many messages is a small buffer.
const FEW: usize = 8;
