//! What waits for an agent: messages in a bounded queue, everything else in one that is never
//! full. The bounds and policies are those of the threads' mailboxes.

use std::collections::{BTreeSet, VecDeque};

use dx_agents::event::{Envelope, Event};
use dx_agents::{AgentId, Lane, MailboxBounds, Recovered, Refusal, RefusedBecause, WhenFull};

use crate::choices::Choices;

/// A message that waits.
#[derive(Debug)]
pub struct Letter {
    pub envelope: Envelope,
    /// What it takes of the bounds.
    pub weight: usize,
    /// Stands for its content in the trace.
    pub hash: u64,
    /// The node that had credit for it, if it came from another one.
    pub credit: Option<Credit>,
}

/// A place that was granted to another node.
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    pub node: u32,
    pub life: u32,
    pub bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Mailbox {
    bounds: MailboxBounds,
    messages: VecDeque<Letter>,
    bytes: usize,
    /// Messages let in that are still with the agent's shared state.
    staged: usize,
    /// Grows when the agent restarts: what its shared state took in before is not for the new one.
    life: u32,
    system: VecDeque<Event>,
    refusals: Vec<Refusal>,
    durable: Option<u64>,
    start: Option<Box<Recovered>>,
    waiting: BTreeSet<AgentId>,
}

/// How a push went.
pub enum Pushed {
    /// It is in.
    In,
    /// It has a place; the shared state is to look at it first.
    Stage(Letter, Staged),
    /// There was no room; it goes back.
    Full,
    /// There was no room; it, or so many older ones for it, were dropped.
    Dropped(Vec<Letter>, Option<Letter>),
}

/// A message's place while the shared state looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Staged {
    weight: usize,
    life: u32,
}

/// What an agent hears next.
pub enum Next {
    /// A message.
    Message(Letter),
    /// Anything else.
    Event(Event),
}

/// How often a message is handled before a timer or answer that waits, too: one in so many. On
/// threads a turn's messages may have been taken before.
const OVERTAKES: u64 = 8;

impl Mailbox {
    pub fn new(bounds: MailboxBounds, recovered: Recovered) -> Self {
        Self {
            bounds,
            messages: VecDeque::new(),
            bytes: 0,
            staged: 0,
            life: 0,
            system: VecDeque::new(),
            refusals: Vec::new(),
            durable: None,
            start: Some(Box::new(recovered)),
            waiting: BTreeSet::new(),
        }
    }

    /// Lets a message in, if there is room or another node has credit for it.
    #[inline]
    pub fn push(&mut self, letter: Letter, stages: bool) -> Pushed {
        let mut lost = Vec::new();
        if letter.credit.is_none() && !self.has_room(letter.weight) {
            match self.bounds.full {
                WhenFull::Refuse => {
                    self.waiting.insert(letter.envelope.from);
                    return Pushed::Full;
                }
                WhenFull::DropNewest => return Pushed::Dropped(lost, Some(letter)),
                WhenFull::DropOldest => {
                    while !self.has_room(letter.weight) {
                        let Some(oldest) = self.messages.pop_front() else { break };
                        self.bytes -= oldest.weight;
                        lost.push(oldest);
                    }
                    // What the shared state looks at cannot be driven out.
                    if !self.has_room(letter.weight) {
                        return Pushed::Dropped(lost, Some(letter));
                    }
                }
            }
        }
        self.bytes += letter.weight;
        if stages {
            self.staged += 1;
            let staged = Staged { weight: letter.weight, life: self.life };
            return Pushed::Stage(letter, staged);
        }
        self.messages.push_back(letter);
        if lost.is_empty() { Pushed::In } else { Pushed::Dropped(lost, None) }
    }

    /// Takes back a message that the shared state has passed on, or nothing in its place. It comes
    /// back if the agent restarted meanwhile.
    pub fn unstage(&mut self, letter: Option<Letter>, staged: Staged) -> Option<Letter> {
        self.staged -= 1;
        self.bytes -= staged.weight;
        let letter = letter?;
        if self.life != staged.life {
            return Some(letter);
        }
        self.bytes += letter.weight;
        self.messages.push_back(letter);
        None
    }

    /// Lets in anything but a message.
    pub fn tell(&mut self, event: Event) {
        self.system.push_back(event);
    }

    /// A send of this agent came back.
    pub fn refuse(&mut self, to: AgentId, lane: Lane, why: RefusedBecause) {
        let same = |seen: &&mut Refusal| (seen.to, seen.lane, seen.why) == (to, lane, why);
        match self.refusals.iter_mut().find(same) {
            Some(seen) => seen.count += 1,
            None => self.refusals.push(Refusal { to, lane, why, count: 1 }),
        }
    }

    /// So many entries are durable.
    pub fn durable(&mut self, entries: u64) {
        self.durable = self.durable.max(Some(entries));
    }

    /// What is handled next; of an agent that `may_work` not, only word of the journal.
    pub fn next(&mut self, may_work: bool, choices: &mut Choices) -> Option<Next> {
        if let Some(entries) = self.durable.take() {
            return Some(Next::Event(Event::Durable { entries }));
        }
        if !may_work {
            return None;
        }
        if let Some(recovered) = self.start.take() {
            return Some(Next::Event(Event::Start(recovered)));
        }
        // Before the rest: whoever hears `Writable` after `Refused` goes on, and whoever heard them
        // the other way round would wait for ever.
        if !self.refusals.is_empty() {
            return Some(Next::Event(Event::Refused(self.refusals.remove(0))));
        }
        let both = !self.system.is_empty() && !self.messages.is_empty();
        let overtakes = both && choices.choose_finely("overtake", OVERTAKES) == OVERTAKES - 1;
        if !overtakes && let Some(event) = self.system.pop_front() {
            return Some(Next::Event(event));
        }
        let letter = self.messages.pop_front()?;
        self.bytes -= letter.weight;
        Some(Next::Message(letter))
    }

    /// Whether there is anything that [`next`](Self::next) would give.
    #[inline]
    pub fn has_any(&self, may_work: bool) -> bool {
        self.durable.is_some()
            || may_work
                && (!self.messages.is_empty()
                    || !self.system.is_empty()
                    || !self.refusals.is_empty()
                    || self.start.is_some())
    }

    /// Who hears that there is room, once half of it is free.
    #[inline]
    pub fn writable(&mut self) -> BTreeSet<AgentId> {
        let is_half_empty = self.messages.len() + self.staged <= self.bounds.messages / 2
            && self.bytes <= self.bounds.bytes / 2;
        if self.waiting.is_empty() || !is_half_empty {
            return BTreeSet::new();
        }
        std::mem::take(&mut self.waiting)
    }

    /// Empties it, as at a restart: the messages, and who waited for room.
    pub fn discard(&mut self) -> (VecDeque<Letter>, BTreeSet<AgentId>) {
        self.life += 1;
        self.system.clear();
        self.refusals.clear();
        let messages = std::mem::take(&mut self.messages);
        self.bytes -= messages.iter().map(|letter| letter.weight).sum::<usize>();
        (messages, std::mem::take(&mut self.waiting))
    }

    /// The agent begins anew.
    pub fn begin(&mut self, recovered: Recovered) {
        self.start = Some(Box::new(recovered));
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.messages.len() + self.staged
    }

    /// Agents that found no room, and wait for it.
    pub fn awaited_by(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self, weight: usize) -> bool {
        let count = self.len();
        count == 0 || (count < self.bounds.messages && self.bytes + weight <= self.bounds.bytes)
    }
}
