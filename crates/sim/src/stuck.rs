//! Why a run gets nowhere: what does not happen, and who waits for what.
//!
//! | it is called | if |
//! |---|---|
//! | deadlock | agents wait for each other's answers in a circle, or nodes for each other's credit |
//! | livelock | so many [events](Patience::events) passed without [progress](crate::Sim::mark_progress) |
//! | starvation | a ready agent is [passed by](Patience::rounds), or a question while others are answered |
//!
//! Nodes that stand still, links that are cut and what a test holds are named beside it, so that a
//! long fault is not taken for a bug: by themselves they are no reason to fail.

mod looking;
mod wait;

use std::fmt;
use std::time::Duration;

use dx_agents::{AgentId, AskId, NodeId};
use rustc_hash::FxHashMap;

use crate::progress::{Livelock, Progress, Starvation};
use crate::sim::Sim;
use crate::waits::Deadlock;

pub use wait::{Hindrance, Wait};

/// How long a run may get nowhere before it fails, in events and not in time. Both bounds are
/// meant never to be met by a run that gets anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Events of one [`run_until`](crate::Sim::run_until) without progress. The default, 100
    /// million, is about a minute of computing.
    pub events: u64,
    /// Rounds in which an agent that is ready is not picked, each as long as it takes to pick as
    /// many as are ready. By fair chance one is passed by for so many as ten about never; the
    /// default, a million, is for searches that prefer some agents on purpose.
    pub rounds: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { events: 100_000_000, rounds: 1_000_000 }
    }
}

/// An agent, or a node as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// An agent.
    Agent(AgentId),
    /// A node.
    Node(NodeId),
}

/// What is to be said of a run that does not come to what it should. `Display` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// What it is, as far as that can be told.
    pub verdict: Verdict,
    /// Circles of waits.
    pub deadlocks: Vec<Deadlock<Party>>,
    /// All waits, the most telling first.
    pub waits: Vec<Wait>,
    /// Who took the most steps of late, and how many, if there were many events.
    pub busiest: Vec<(AgentId, u64)>,
}

/// What kind of standstill it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing happened for most of the time.
    Idle {
        /// Since when.
        since: Duration,
        /// When the next thing is due, if there is any.
        next: Option<Duration>,
    },
    /// So much happened, and no progress.
    Livelock(Livelock),
    /// Someone is passed by while others run.
    Starvation(Starvation<AgentId>),
    /// A question is passed by while others are answered.
    Overlooked {
        /// Who asked.
        who: AgentId,
        /// Whom.
        of: AgentId,
        /// How many others were answered since.
        others: u64,
    },
    /// So many events happened in the time there was, and nothing in particular is wrong.
    OutOfTime {
        /// How many.
        events: u64,
    },
}

/// What is kept of a run, to say it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub progress: Progress,
    /// The steps that all agents had taken, by their places, before what is of late.
    pub steps: Vec<u64>,
    /// Questions that may be open.
    pub questions: FxHashMap<(u32, AskId), Question>,
    questions_kept: usize,
    /// How many questions each agent has answered.
    pub answered: FxHashMap<AgentId, u64>,
    /// When the last event was.
    pub last: u64,
    begun: u64,
    begun_events: u64,
}

/// A question that left an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub to: AgentId,
    /// When, in the world's time.
    pub since: u64,
    /// How many others had been answered before.
    pub before: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            progress: Progress::new(u64::MAX),
            steps: Vec::new(),
            questions: FxHashMap::default(),
            questions_kept: 0,
            answered: FxHashMap::default(),
            last: 0,
            begun: 0,
            begun_events: 0,
        }
    }
}

impl Sim {
    /// Something was achieved: an operation answered, a height decided. What that is nobody but the
    /// test can know. Between two of them [`run_until`](Self::run_until) lets pass no more events
    /// than the [`Patience`] of the configuration; without any, it counts from its beginning.
    pub fn mark_progress(&mut self) {
        self.watch.progress.mark();
        self.watch.steps.clear();
    }

    /// What hinders this world now: what [`run_until`](Self::run_until) says where it fails.
    #[must_use]
    pub fn stuck(&self) -> Stuck {
        self.stuck_with(None)
    }

    /// A question leaves an agent.
    #[inline]
    pub(crate) fn note_question(&mut self, slot: u32, ask: AskId, to: AgentId) {
        let before = self.watch.answered.get(&to).copied().unwrap_or(0);
        let question = Question { to, since: self.now, before };
        if self.watch.questions.len() > 2 * self.watch.questions_kept + MIN_KEPT {
            let mut questions = std::mem::take(&mut self.watch.questions);
            questions.retain(|(slot, ask), _| self.is_open(*slot, *ask));
            self.watch.questions_kept = questions.len();
            self.watch.questions = questions;
        }
        self.watch.questions.insert((slot, ask), question);
    }

    /// A question is answered.
    #[inline]
    pub(crate) fn note_answer(&mut self, by: AgentId) {
        *self.watch.answered.entry(by).or_insert(0) += 1;
    }

    fn is_open(&self, slot: u32, ask: AskId) -> bool {
        self.resident(slot).is_some_and(|resident| resident.cell.has_asked(ask))
    }

    /// The run is to come to something from now on.
    pub(crate) fn begin_watch(&mut self) {
        self.watch.progress = Progress::new(self.config.patience.events);
        self.watch.steps.clear();
        self.watch.begun = self.now;
        self.watch.begun_events = self.trace.events();
    }

    /// An event has passed.
    #[inline]
    pub(crate) fn watch_event(&mut self) -> Result<(), Livelock> {
        self.watch.progress.event()?;
        if self.watch.steps.is_empty() && self.trace.events() - self.watch.begun_events > MANY {
            let steps = |it: &Option<Box<crate::resident::Resident>>| {
                it.as_ref().map_or(0, |resident| resident.cell.steps())
            };
            self.watch.steps = self.agents.iter().map(steps).collect();
        }
        Ok(())
    }
}

/// Questions that are remembered before those that are settled are forgotten.
const MIN_KEPT: usize = 1024;

/// Events after which it is worth saying who is busy. A guess.
const MANY: u64 = 1000;

/// Waits that are listed in a text; the rest is counted.
const SHOWN: usize = 12;

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(f, "{agent}"),
            Self::Node(node) => write!(f, "{node}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle { since, next: None } => {
                write!(f, "nothing happened after {since:?}, and nothing is due any more")
            }
            Self::Idle { since, next: Some(next) } => {
                write!(f, "nothing happened after {since:?}, and nothing is due before {next:?}")
            }
            Self::Livelock(livelock) => write!(f, "{livelock}"),
            Self::Starvation(starvation) => write!(f, "{starvation}"),
            Self::Overlooked { who, of, others } => {
                write!(f, "starvation: {of} has answered {others} others since {who} asked it")
            }
            Self::OutOfTime { events } => write!(f, "{events} events happened in that time"),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, deadlocks, waits, busiest } = self;
        write!(f, "{verdict}")?;
        for deadlock in deadlocks {
            write!(f, "; {deadlock}")?;
        }
        for wait in waits.iter().take(SHOWN) {
            write!(f, "; {wait}")?;
        }
        if waits.len() > SHOWN {
            write!(f, "; and {} more waits", waits.len() - SHOWN)?;
        }
        for (who, steps) in busiest {
            write!(f, "; {who} took {steps} steps of late")?;
        }
        Ok(())
    }
}
