//! The controller as an agent: the core, its journal, its clock, and those who wait for changes.

mod record;
mod watch;

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::id::ReplyTo;
use dx_agents::{
    Agent, AgentId, Context, Down, Instant, JournalState, NodeId, Refusal, RefusedBecause, TimerKey,
};

use crate::client::{Answer, Answered, Asked, Request, RequestError};
use crate::core::{Config, Core, Outcome};
use crate::id::JobId;
use crate::message::{ControllerMessage, RunnerMessage, ToRunner};
use crate::runner_of;
use dx_agents::context::MAX_SNAPSHOT;
use watch::Watches;

/// Something in the core is due.
const DUE: TimerKey = TimerKey(1);
/// Those who wait are to be told.
const TELL: TimerKey = TimerKey(2);

/// The least time between two answers to those who wait for changes: ten in a second look live.
/// Whoever waits for a job that has ended hears of it at once: there will be no change after it.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// The longest that the core is left alone, in milliseconds, however far ahead what is due is.
const LONGEST_SLEEP: u64 = 3_600_000;

/// See the module.
pub struct Controller {
    core: Core,
    watches: Watches,
    /// When this life began, by both clocks.
    began: (Instant, u64),
    /// When the timer for what is due is set to.
    alarm: Option<u64>,
    /// When those who wait were told last.
    told: Option<Instant>,
}

impl Controller {
    /// One that has not begun.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            core: Core::new(config),
            watches: Watches::default(),
            began: (Instant::default(), 0),
            alarm: None,
            told: None,
        }
    }

    /// What it knows and decides.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The time in its clock: never less than any that is journaled.
    fn time(&self, cx: &mut Context) -> u64 {
        let (instant, millis) = self.began;
        millis + cx.now().since(instant).as_millis() as u64
    }

    fn begin(&mut self, cx: &mut Context) {
        let at = self.time(cx);
        let seed = cx.rng().next_u64();
        self.core.begin(at, seed);
    }

    /// Ends a step: what happened is journaled, and what follows from it leaves after that.
    fn finish(&mut self, cx: &mut Context) {
        let Outcome { batch, tell, touched, is_changed } = self.core.finish();
        if let Some(batch) = batch {
            cx.persist(record::encode(&batch));
        }
        for (node, message) in tell {
            let is_grant = matches!(message, ToRunner::Granted { .. });
            let (to, message) = (runner_of(node), RunnerMessage::Controller(message));
            // A grant says no more than that this life was heard of, of which no entry tells: what
            // runs need not die of a disk that is slow or full. Who was not welcomed, which does
            // wait, heeds none; and after a crash all leases count from the next start.
            if is_grant {
                cx.send_ahead(to, message);
            } else {
                cx.send(to, message);
            }
        }
        if is_changed {
            self.watches.note(&touched);
            self.tell_ends(&touched, cx);
            self.tell_watches(cx);
        }
        self.set_alarm(cx);
    }

    fn set_alarm(&mut self, cx: &mut Context) {
        let now = self.core.now();
        let due = self.core.next_due().map(|at| at.clamp(now + 1, now + LONGEST_SLEEP));
        if self.alarm == due {
            return;
        }
        self.alarm = due;
        match due {
            Some(at) => cx.set_timer(DUE, Duration::from_millis(at - now)),
            None => cx.cancel(DUE),
        }
    }

    fn tell_watches(&mut self, cx: &mut Context) {
        let now = cx.now();
        let wait =
            self.told.map_or(Duration::ZERO, |told| TELL_EVERY.saturating_sub(now.since(told)));
        if !wait.is_zero() {
            return cx.set_timer(TELL, wait);
        }
        self.told = Some(now);
        for (to, job) in self.watches.due(now) {
            self.answer_watch(to, job, cx);
        }
        if let Some(at) = self.watches.next() {
            cx.set_timer(TELL, at.since(now));
        }
    }

    fn tell_ends(&mut self, touched: &BTreeSet<JobId>, cx: &mut Context) {
        for &job in touched {
            if self.core.has_ended(job) {
                for to in self.watches.take(job) {
                    self.answer_watch(to, Some(job), cx);
                }
            }
        }
    }

    fn answer_watch(&mut self, to: ReplyTo, job: Option<JobId>, cx: &mut Context) {
        let answer = self.core.request(Request::Watch { job, since: 0 });
        cx.reply(to, Answered::new(&answer));
    }

    fn asked(&mut self, asked: &Asked, cx: &mut Context) {
        let Some(to) = cx.asked() else { return };
        let request = match asked.open() {
            Ok(request) => request,
            Err(error) => {
                let unknown = RequestError::Unknown(error.to_string());
                return cx.reply(to, Answered::new(&Answer::Refused(unknown)));
            }
        };
        if let Request::Watch { job, since } = request
            && self.is_unchanged(job, since)
            && self.watches.add(to, job, cx.now())
        {
            return self.tell_watches(cx);
        }
        let is_full = cx.journal() == JournalState::Full;
        let answer = match &request {
            Request::Submit { dry_run: false, .. }
            | Request::Call { dry_run: false, .. }
            | Request::SubmitAll { dry_run: false, .. }
                if is_full =>
            {
                Answer::Refused(RequestError::DiskFull)
            }
            _ => self.core.request(request),
        };
        cx.reply(to, Answered::new(&answer));
    }

    fn is_unchanged(&self, job: Option<JobId>, since: u64) -> bool {
        let live = self.core.live();
        match job {
            None => live.version() <= since,
            Some(job) => self.core.has(job) && live.version_of(job) <= since,
        }
    }

    /// A node's runner cannot be heard, or has lost what was said to it.
    fn away(&mut self, agent: AgentId, cx: &mut Context) {
        if let Some(node) = node_of(agent) {
            self.begin(cx);
            self.core.away(node);
            self.finish(cx);
        }
    }
}

/// The node whose runner an agent is.
fn node_of(agent: AgentId) -> Option<NodeId> {
    agent.spawned_by().filter(|node| runner_of(*node) == agent)
}

impl Agent for Controller {
    type Message = ControllerMessage;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        record::recover(&mut self.core, &recovered);
        let base = cx.incarnation().0.max(self.core.state().at);
        self.began = (cx.now(), base);
        for node in self.core.nodes_known().collect::<Vec<_>>() {
            cx.monitor(runner_of(node));
        }
        self.begin(cx);
        self.core.begin_term();
        self.finish(cx);
    }

    fn message(&mut self, from: AgentId, message: ControllerMessage, cx: &mut Context) {
        self.begin(cx);
        match message {
            ControllerMessage::Client(asked) => self.asked(&asked, cx),
            ControllerMessage::Runner(message) => {
                if let Some(node) = node_of(from) {
                    self.core.hear(node, message);
                }
            }
        }
        self.finish(cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        match key {
            TELL => self.tell_watches(cx),
            _ => {
                self.alarm = None;
                self.begin(cx);
                self.finish(cx);
            }
        }
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        // A runner that comes back joins by itself.
        if !matches!(why, Down::NoConnection) {
            cx.monitor(who);
        }
        self.away(who, cx);
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        if refusal.why != RefusedBecause::Full {
            cx.note("scheduler.refused", refusal.count);
        }
        // It has to be asked what it holds, and told again.
        self.away(refusal.to, cx);
    }

    fn compact(&mut self, cx: &mut Context) {
        let snapshot = self.core.state().snapshot();
        if snapshot.len() > MAX_SNAPSHOT {
            // The records go on being enough; the journal is longer than it should be.
            return cx.note("scheduler.snapshot_too_long", snapshot.len() as u64);
        }
        cx.snapshot(snapshot);
    }
}
