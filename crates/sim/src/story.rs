//! What happened in a run as it can be told: who said what to whom and what came of it, what was
//! written down, what broke. It is kept only where it is asked for, by
//! [`Sim::keep_story`](crate::Sim::keep_story): a run that only counts pays one branch for it.

mod matching;
mod window;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use dx_agents::{AgentId, AskId, NodeId};

use self::matching::Matching;
use self::window::Window;

/// Characters of a message that are kept.
pub const MAX_TEXT: usize = 80;

/// What a run told of itself.
#[derive(Debug, Default)]
pub struct Story {
    told: Window<Told>,
    sent: Window<Sent>,
    /// The last thing that each agent did.
    last: BTreeMap<AgentId, usize>,
    matching: Matching,
    /// Answers under way, by the question.
    answers: BTreeMap<(AgentId, AskId), usize>,
    kinds: BTreeMap<AgentId, String>,
    /// Whom the current check has looked at.
    looked_at: RefCell<BTreeSet<AgentId>>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, in nanoseconds of the world's time.
    pub at: u64,
    /// What.
    pub what: Deed,
    /// What the agent handed to the journal, as text.
    pub writes: Vec<String>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// An agent handles a message, or an answer: the one of this number.
    Heard {
        /// Who.
        by: AgentId,
        /// The number of what was [sent](Story::sent); none if that is too long ago.
        sent: Option<usize>,
        /// Whether it came before: a datagram that was repeated.
        is_again: bool,
    },
    /// A message will not be handled.
    Lost {
        /// The number of what was sent.
        sent: usize,
        /// Why.
        why: String,
    },
    /// An agent does something else, in words.
    Step {
        /// Who.
        by: AgentId,
        /// What.
        text: String,
    },
    /// Something is done to the world, in words.
    Fault {
        /// To which nodes.
        nodes: Vec<NodeId>,
        /// Of what sort it is.
        harm: Harm,
        /// What.
        text: String,
    },
}

impl Told {
    /// Who did it, if an agent did.
    #[must_use]
    pub fn by(&self) -> Option<AgentId> {
        match self.what {
            Deed::Step { by, .. } | Deed::Heard { by, .. } => Some(by),
            Deed::Lost { .. } | Deed::Fault { .. } => None,
        }
    }
}

/// Of what sort something done to the world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The nodes are down from now on.
    Crash,
    /// They are worse off.
    Fault,
    /// They are better off.
    Mended,
}

/// A message on its way, or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent, in nanoseconds of the world's time.
    pub at: u64,
    /// Who sent it.
    pub from: AgentId,
    /// To whom.
    pub to: AgentId,
    /// Its type's name.
    pub name: String,
    /// Its content; its size, if neither its receiver nor its sender could read it yet.
    pub text: String,
    /// Whether that is its content.
    pub is_read: bool,
    /// The number of what its sender did last before; none if nothing is known of that.
    pub after: Option<usize>,
    /// Whether it was handled, or lost.
    pub is_over: bool,
}

impl Story {
    /// What happened, with its numbers, from the oldest that is kept.
    pub fn told(&self) -> impl DoubleEndedIterator<Item = (usize, &Told)> {
        self.told.iter()
    }

    /// How many things happened, those that are not kept any more included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.told.end()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message of this number, if it is still kept.
    #[must_use]
    pub fn sent(&self, number: usize) -> Option<&Sent> {
        self.sent.get(number)
    }

    /// All messages that are still kept, with their numbers.
    pub fn all_sent(&self) -> impl Iterator<Item = (usize, &Sent)> {
        self.sent.iter()
    }

    /// The kind of an agent, as far as it is known.
    #[must_use]
    pub fn kind(&self, agent: AgentId) -> Option<&str> {
        self.kinds.get(&agent).map(String::as_str)
    }

    /// Whom the last check looked at: what it found can depend on nobody else.
    #[must_use]
    pub fn looked_at(&self) -> BTreeSet<AgentId> {
        self.looked_at.borrow().clone()
    }

    pub(crate) fn look_at(&self, agent: AgentId) {
        self.looked_at.borrow_mut().insert(agent);
    }

    pub(crate) fn look_away(&self) {
        self.looked_at.borrow_mut().clear();
    }

    pub(crate) fn is_of_kind(&mut self, agent: AgentId, kind: &str) {
        self.kinds.insert(agent, kind.to_owned());
    }

    /// An agent does something that is no message.
    pub(crate) fn steps(&mut self, at: u64, by: AgentId, text: impl Into<String>) {
        let number = self.tell(at, Deed::Step { by, text: text.into() });
        self.last.insert(by, number);
    }

    /// Something is done to the world.
    pub(crate) fn harms(&mut self, at: u64, nodes: &[NodeId], harm: Harm, text: String) {
        self.tell(at, Deed::Fault { nodes: nodes.to_vec(), harm, text });
    }

    /// An agent hands something to the journal in its current step.
    pub(crate) fn writes(&mut self, by: AgentId, text: String) {
        let current = self.last.get(&by).copied();
        if let Some(told) = current.and_then(|number| self.told.get_mut(number)) {
            told.writes.push(text);
        }
    }

    /// A message sets out. `hash` stands for its content.
    pub(crate) fn sends(&mut self, sent: Sent, hash: u64) {
        let (from, to) = (sent.from, sent.to);
        let number = self.set_out(sent);
        self.matching.sent((from, to, hash), number);
    }

    /// An answer sets out.
    pub(crate) fn answers(&mut self, sent: Sent, ask: AskId) {
        let to = sent.to;
        let number = self.set_out(sent);
        self.answers.insert((to, ask), number);
    }

    fn set_out(&mut self, mut sent: Sent) -> usize {
        sent.after = self.last.get(&sent.from).copied();
        self.sent.push(sent)
    }

    /// A message is handled. Who does can `read` it, also if it was not there when it was sent.
    pub(crate) fn hears(
        &mut self,
        at: u64,
        (from, by, hash): (AgentId, AgentId, u64),
        read: impl FnOnce() -> Option<String>,
    ) {
        let (sent, is_again) = self.matching.came((from, by, hash));
        if let Some(sent) = sent.and_then(|number| self.sent.get_mut(number))
            && !sent.is_read
            && let Some(text) = read()
        {
            (sent.text, sent.is_read) = (text, true);
        }
        self.handled(at, by, sent, is_again);
    }

    /// A question has its end. False if no answer to it was sent.
    pub(crate) fn is_answered(&mut self, at: u64, by: AgentId, ask: AskId) -> bool {
        let sent = self.answers.remove(&(by, ask));
        if sent.is_some() {
            self.handled(at, by, sent, false);
        }
        sent.is_some()
    }

    fn handled(&mut self, at: u64, by: AgentId, sent: Option<usize>, is_again: bool) {
        let number = self.tell(at, Deed::Heard { by, sent, is_again });
        self.last.insert(by, number);
        self.is_over(sent);
    }

    /// A message is lost, with this word on why.
    pub(crate) fn loses(&mut self, at: u64, from: AgentId, to: AgentId, hash: u64, why: String) {
        if let Some(sent) = self.matching.lost((from, to, hash)) {
            self.lost(at, sent, why);
        }
    }

    /// An answer is lost.
    pub(crate) fn loses_answer(&mut self, at: u64, to: AgentId, ask: AskId, why: String) {
        if let Some(sent) = self.answers.remove(&(to, ask)) {
            self.lost(at, sent, why);
        }
    }

    fn lost(&mut self, at: u64, sent: usize, why: String) {
        self.tell(at, Deed::Lost { sent, why });
        self.is_over(Some(sent));
    }

    fn is_over(&mut self, sent: Option<usize>) {
        if let Some(sent) = sent.and_then(|number| self.sent.get_mut(number)) {
            sent.is_over = true;
        }
    }

    fn tell(&mut self, at: u64, what: Deed) -> usize {
        self.told.push(Told { at, what, writes: Vec::new() })
    }
}
