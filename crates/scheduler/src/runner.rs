//! The runner: the agent of a node that takes work for it.
//!
//! ```text
//! Controller -- Assign --> queue -- as it fits --> Processor
//!            <- Reports --  held  <-- Told ------
//! ```
//!
//! It decides only what of its node's work starts now. What is assigned beyond the room of the node
//! waits here, so that the next task starts without a journey to the controller; the controller may
//! take it back. It keeps nothing on disk: what runs is known to the shim, what is to run to the
//! controller, and whatever of either was missed is put right by the next [`Hello`] and [`Join`].
//!
//! *Invariant:* it heeds the controller only between the welcome that answers its latest join and
//! the next reason for one. *Invariant:* attempts that were given to the shim have their room to
//! themselves until the shim says that nothing of them is left.
//!
//! [`Hello`]: crate::processor::Told::Hello
//! [`Join`]: crate::message::Join

mod ahead;
mod held;
mod joining;
mod offer;
mod processor;
mod reads;
mod reports;
mod room;
mod waits;
mod work;

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Down, Refusal, RefusedBecause, TimerKey};
use dx_agents::{Lane, NodeId};

use crate::id::{AttemptId, Term};
use crate::message::{RunnerMessage, ToRunner};
use crate::{controller_of, processor_of};

use self::ahead::Ahead;
use self::held::Holdings;
use self::joining::Standing;
use self::processor::Shim;
use self::reads::Reads;
use self::reports::Reports;
use self::room::Room;
use self::work::Jobs;

pub use self::offer::Offer;
pub use self::reads::MAX_READS;

/// What a runner is told at its start.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// The controller's agent.
    pub controller: AgentId,
    /// What runs its attempts: a port, or an agent.
    pub processor: AgentId,
    /// What the node offers.
    pub offer: Offer,
}

/// The agent. See the module.
pub struct Runner {
    config: RunnerConfig,
    /// The shim as it last said it was.
    shim: Option<Shim>,
    /// Its last beat.
    beat: Option<u64>,
    standing: Standing,
    /// The highest heard of.
    term: Term,
    /// The number of the latest join.
    joined: u64,
    held: Holdings,
    room: Room,
    /// Attempts that have room: those that the shim has, or is about to.
    given: usize,
    /// Of these, those that the shim did not get, as far as it is known: they are given again when
    /// it has a lease.
    ungiven: BTreeSet<AttemptId>,
    /// What has ended in this step, and the controller does not want to hear of.
    unneeded: Vec<AttemptId>,
    ahead: Ahead,
    jobs: Jobs,
    reports: Reports,
    reads: Reads,
    retry: Retry,
    tally: Tally,
}

/// What is to be said again, once the one it is for can hear.
#[derive(Default)]
struct Retry {
    join: bool,
    hello: bool,
    /// Joins since the last welcome.
    unanswered: u32,
}

/// What a runner heard and did not heed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// From an agent that has nothing to say here.
    pub foreign: u64,
    /// Of another term, life or join.
    pub stale: u64,
    /// Of attempts that it does not hold, or as it has them already.
    pub needless: u64,
    /// Joins that were said again, as no answer came.
    pub unanswered: u64,
    /// Attempts that the shim ran and, in the same life, knows nothing of any more.
    pub vanished: u64,
}

/// Says again what an agent that was not there did not hear.
const AGAIN: TimerKey = TimerKey(0);

/// Sends the reports that wait.
const FLUSH: TimerKey = TimerKey(1);

/// Joins again, if the last join was not answered.
const REJOIN: TimerKey = TimerKey(2);

/// How long until [`REJOIN`]: at first, doubled with each join, and at most. The first is far more
/// than a busy controller needs; the last is to be, too, since an answer to the join before is not
/// heeded.
const REJOIN_AFTER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));

/// How long until [`AGAIN`]. A guess: a node that starts needs about as long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl RunnerConfig {
    /// A runner of `node` for the controller of `controller`, that offers all its node has.
    #[must_use]
    pub fn new(node: NodeId, controller: NodeId) -> Self {
        Self {
            controller: controller_of(controller),
            processor: processor_of(node),
            offer: Offer::default(),
        }
    }
}

impl Runner {
    /// One that has heard of nobody yet.
    #[must_use]
    pub fn new(config: RunnerConfig) -> Self {
        Self {
            config,
            shim: None,
            beat: None,
            standing: Standing::Away,
            term: Term::default(),
            joined: 0,
            held: Holdings::default(),
            room: Room::default(),
            given: 0,
            ungiven: BTreeSet::new(),
            unneeded: Vec::new(),
            ahead: Ahead::default(),
            jobs: Jobs::default(),
            reports: Reports::default(),
            reads: Reads::default(),
            retry: Retry::default(),
            tally: Tally::default(),
        }
    }

    /// What it heard and did not heed.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What it holds, and whether it was given to the shim and has not ended.
    pub fn holds(&self) -> impl Iterator<Item = (AttemptId, bool)> {
        self.held.iter().map(|(attempt, held)| (attempt, held.has_room()))
    }

    /// Whether the controller counts with it.
    #[must_use]
    pub fn is_welcome(&self) -> bool {
        matches!(self.standing, Standing::Welcome { .. })
    }

    fn controller_says(&mut self, message: ToRunner, cx: &mut Context) {
        match message {
            ToRunner::Who { term } => self.asked_who(term, cx),
            ToRunner::Welcome { term, join, shim, lease, keep } => {
                if self.is_answer(term, join, shim) {
                    self.welcomed(Standing::Welcome { term, lease }, &keep, cx);
                }
            }
            ToRunner::Fenced { term, shim } => self.fenced(term, shim, cx),
            ToRunner::Granted { term, shim, clock } => {
                if let Some(lease) = self.is_current(term, Some(shim)) {
                    self.granted(term, lease, clock, cx);
                }
            }
            ToRunner::Assign { term, shim, jobs, runs } => {
                if self.is_current(term, Some(shim)).is_some() {
                    self.assigned(jobs, &runs, cx);
                }
            }
            ToRunner::Retract { term, shim, attempts } => {
                if self.is_current(term, Some(shim)).is_some() {
                    self.retracted(&attempts, cx);
                }
            }
            ToRunner::Kill { term, shim, attempts } => {
                if self.is_current(term, Some(shim)).is_some() {
                    self.killed(attempts, cx);
                }
            }
            ToRunner::Recorded { term, shim, attempts } => {
                if self.is_current(term, Some(shim)).is_some() {
                    self.recorded(attempts, cx);
                }
            }
            ToRunner::DropLogs { term, attempts } => {
                if self.is_current(term, None).is_some() {
                    self.tell_shim(crate::processor::Call::DropLogs(attempts), cx);
                }
            }
            ToRunner::Waits { term, shim, waits } => {
                if self.is_current(term, Some(shim)).is_some() {
                    self.told_of_waits(&waits);
                }
            }
        }
    }

    /// The end of each step: what fits now starts, and what is to be said is.
    fn settle(&mut self, cx: &mut Context) {
        self.forget_unneeded(cx);
        self.resume_what_fits();
        self.recall_ahead(cx);
        self.start_what_fits(cx);
        self.flush_reports(false, cx);
    }
}

impl Agent for Runner {
    type Message = RunnerMessage;

    fn start(&mut self, cx: &mut Context) {
        cx.monitor(self.config.controller);
        cx.monitor(self.config.processor);
        self.say_hello(cx);
    }

    fn message(&mut self, from: AgentId, message: RunnerMessage, cx: &mut Context) {
        match message {
            RunnerMessage::Controller(message) if from == self.config.controller => {
                self.controller_says(message, cx);
            }
            RunnerMessage::Processor(told) if from == self.config.processor => {
                for one in told {
                    self.processor_says(one, cx);
                }
            }
            RunnerMessage::Read(read) => self.read(read, cx),
            RunnerMessage::Controller(_) | RunnerMessage::Processor(_) => self.tally.foreign += 1,
        }
        self.settle(cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        match key {
            AGAIN => {
                // Once more: what has ended for good is monitored no longer.
                cx.monitor(self.config.controller);
                cx.monitor(self.config.processor);
                self.say_again(true, true, cx);
            }
            FLUSH => self.flush_reports(true, cx),
            REJOIN => self.join_again(cx),
            _ => {}
        }
        self.settle(cx);
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        // Without a connection nothing is lost yet.
        if why == Down::NoConnection {
            return;
        }
        if who == self.config.controller {
            self.standing = Standing::Away;
            self.retry.join = true;
        } else if who == self.config.processor {
            self.retry.hello = true;
        }
        if why.is_final() {
            cx.set_timer(AGAIN, AGAIN_AFTER);
        } else {
            self.say_again(true, true, cx);
        }
        self.settle(cx);
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        // Another beat follows.
        if refusal.lane == Lane::Urgent {
            return;
        }
        if refusal.to == self.config.controller {
            self.standing = Standing::Away;
            self.retry.join = true;
        } else if refusal.to == self.config.processor {
            self.retry.hello = true;
        }
        if refusal.why != RefusedBecause::Full {
            cx.set_timer(AGAIN, AGAIN_AFTER);
        }
    }

    fn writable(&mut self, to: AgentId, cx: &mut Context) {
        self.say_again(to == self.config.controller, to == self.config.processor, cx);
        self.settle(cx);
    }
}
