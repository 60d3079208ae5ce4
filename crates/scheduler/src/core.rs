//! Which task runs where: all that a controller knows and decides, without clock, socket, thread or
//! randomness of its own.
//!
//! ```text
//! message, request, time --decide--> Event --apply--> State         journaled, and nothing else is
//!                                      |        \---> Effects        told when they are durable
//!                                      \-----> Batch: one record
//! ```
//!
//! Deciding looks at the state, the time and a random number, and yields events; applying them is
//! all that changes the state. So the state after a replay is the state before. Beside it is
//! [`Live`]: what is known of nodes until the next start, such as when their leases end.
//!
//! *Invariant:* of a task, one attempt is open at most, and one that has ended never changes.
//! *Invariant:* counts are sizes of sets that each task is in one of.
//! *Invariant:* what runs on a node fits it; what waits there is in the order in which it begins.

mod amounts;
mod apply;
mod check;
mod decide;
mod due;
mod effect;
mod event;
mod explain;
mod graph;
mod hear;
mod job;
mod live;
mod node;
mod packed;
mod place;
mod queue;
mod ranges;
mod request;
mod retract;
mod retry;
mod rows;
mod settle;
mod snapshot;
mod state;
mod steer;
mod submit;
mod tell;
mod view;
mod wait;
mod waits;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::NodeId;
use dx_agents::rng::Rng;

use crate::id::{JobId, Term};
use crate::message::ToRunner;

pub use event::{Batch, Decision, Doom, EndOf, Event, How, Loss, Ranges, Then};
pub use graph::{MAX_CALLS, MAX_CHAIN, MAX_CHILDREN, MAX_DEPENDANTS};
pub use live::{Live, Tally};
pub use snapshot::SnapshotError;
pub use state::State;
pub use wait::{MAX_BLOCKED, MAX_WAITED, WAIT_KEPT};

use effect::Effects;

/// How long a lease is unless told otherwise, in milliseconds: design of the service.
pub const LEASE_MS: u64 = 30_000;

/// What a core is told about the cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nodes that may join.
    pub nodes: BTreeMap<NodeId, NodeConfig>,
    /// How long a lease is, in milliseconds.
    pub lease: u64,
    /// Tasks that may wait or run, in all.
    pub most_tasks: u64,
    /// Jobs that have ended and are kept; beyond it the one that ended first is removed.
    pub most_ended: usize,
    /// Tasks that have run and are kept; beyond it the job that ended first is removed, unless it
    /// is the only one.
    pub most_rows: u64,
}

/// A node that may join.
#[derive(Clone, Debug, Default)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// What it is like, for constraints.
    pub labels: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            lease: LEASE_MS,
            most_tasks: MAX_UNENDED,
            most_ended: MAX_ENDED,
            most_rows: MAX_ROWS,
        }
    }
}

/// Tasks that may wait or run: those of the largest job.
pub const MAX_UNENDED: u64 = 10_000_000;

/// Jobs that have ended and are kept. A guess: a few days of a busy cluster.
pub const MAX_ENDED: usize = 10_000;

/// Tasks that have run and are kept: half a gigabyte at most, a fifth of it where they have ended.
pub const MAX_ROWS: u64 = 5_000_000;

/// The state, what is known beside it, and the step that is under way.
pub struct Core {
    config: Config,
    state: State,
    live: Live,
    /// The time of the step.
    at: u64,
    rng: Rng,
    events: Vec<Event>,
    effects: Effects,
    /// Answers that need no event, in their order.
    replies: Vec<(NodeId, ToRunner)>,
}

/// What a step came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What happened, to be journaled before anything else leaves.
    pub batch: Option<Batch>,
    /// What is to be said to runners, in this order.
    pub tell: Vec<(NodeId, ToRunner)>,
    /// Jobs that look otherwise than before.
    pub touched: BTreeSet<JobId>,
    /// Whether anything looks otherwise than before.
    pub is_changed: bool,
}

impl Core {
    /// One that knows of no job.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::default(),
            live: Live::default(),
            at: 0,
            rng: Rng::new(0),
            events: Vec::new(),
            effects: Effects::default(),
            replies: Vec::new(),
        }
    }

    /// What an earlier life took a snapshot of.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.state = State::restore(snapshot)?;
        Ok(())
    }

    /// What an earlier life journaled, in its order.
    pub fn replay(&mut self, batch: &Batch) {
        let mut unused = Effects::default();
        for event in &batch.events {
            self.state.apply(batch.at, event, &mut unused);
        }
    }

    /// A step begins, at this time; choices follow from the seed. Time never goes back.
    pub fn begin(&mut self, at: u64, seed: u64) {
        self.at = at.max(self.state.at).max(self.at);
        self.rng = Rng::new(seed);
    }

    /// A life of the controller begins: every lease counts from now on, and runners are asked who
    /// they are.
    pub fn begin_term(&mut self) {
        let term = Term(self.state.term.0 + 1);
        self.record(Event::Began(term));
        self.live.begin(self.at, self.state.nodes.keys().copied());
        for (attempt, _) in self.state.waits.iter() {
            self.live.heed_wait(attempt, self.at);
        }
        let nodes = self.config.nodes.keys();
        self.replies.extend(nodes.map(|node| (*node, ToRunner::Who { term })));
    }

    /// The step ends: what follows from it is decided, and handed out.
    pub fn finish(&mut self) -> Outcome {
        self.settle();
        let effects = std::mem::take(&mut self.effects);
        let events = std::mem::take(&mut self.events);
        let batch = (!events.is_empty()).then_some(Batch { at: self.at, events });
        let is_changed = self.live.note_changes(&effects);
        let mut tell = std::mem::take(&mut self.replies);
        tell.extend(self.told(effects.tell));
        Outcome { batch, tell, touched: effects.touched, is_changed }
    }

    /// The nodes that may join.
    pub fn nodes_known(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.config.nodes.keys().copied()
    }

    /// Whether there is such a job.
    #[must_use]
    pub fn has(&self, job: JobId) -> bool {
        self.state.job(job).is_some()
    }

    /// Whether there is such a job, and it has ended.
    #[must_use]
    pub fn has_ended(&self, job: JobId) -> bool {
        self.state.job(job).is_some_and(|job| job.ended.is_some())
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is known beside it.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The time of the step that is under way, or was last.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.at
    }

    /// An event happens.
    fn record(&mut self, event: Event) {
        self.state.apply(self.at, &event, &mut self.effects);
        self.events.push(event);
    }
}
