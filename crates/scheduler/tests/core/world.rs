//! Nodes that do as they should, on a network that loses, repeats and delays, before a core that
//! crashes: all drawn from a seed. What must hold is asserted at every step.

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::NodeId;
use dx_agents::rng::Rng;
use dx_scheduler::client::{Answer, JobQuery, Request};
use dx_scheduler::core::{Decision, Doom, EndOf, Event, How, Loss, Then};
use dx_scheduler::end::{End, Exit, Fault, TaskState};
use dx_scheduler::id::{AttemptId, JobId, TaskId};
use dx_scheduler::message::Report;

use crate::desk::{Desk, ended, exit, not_started};
use crate::model::Model;
use crate::node::{Node, Slot};

/// See the module.
pub struct World {
    pub desk: Desk,
    pub rng: Rng,
    nodes: Vec<Node>,
    looked: usize,
    /// Of each task, the number of its last attempt, and whether that is open.
    tasks: BTreeMap<TaskId, (u32, bool)>,
    /// Ends that are in the journal.
    ends: BTreeMap<AttemptId, How>,
    pub removed: BTreeSet<JobId>,
    /// What runs waits for these, until it is told that this is over.
    waits: BTreeMap<AttemptId, Vec<JobId>>,
    model: Model,
    /// The kinds of events that happened, and some that are rarer than their kind.
    pub seen: BTreeSet<&'static str>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = 1 + rng.below(3) as u32;
        let nodes = (1..=count).map(|id| Node {
            id,
            life: 1,
            cpus: 1 + rng.below(4) as u32,
            is_linked: true,
            is_welcome: false,
            lease: 0,
            held: BTreeMap::new(),
            slots: BTreeMap::new(),
            order: Vec::new(),
            out: Vec::new(),
        });
        let nodes = nodes.collect();
        let (tasks, ends) = (BTreeMap::new(), BTreeMap::new());
        let (desk, removed, seen) = (Desk::new(count), BTreeSet::new(), BTreeSet::new());
        let model = Model::default();
        let waits = BTreeMap::new();
        Self { desk, rng, nodes, looked: 0, tasks, ends, removed, waits, model, seen }
    }

    /// Looks at what was journaled, hands on what was said, and checks.
    pub fn settle(&mut self) {
        let batches = self.desk.journal[self.looked..].to_vec();
        self.looked = self.desk.journal.len();
        for event in batches.iter().flat_map(|batch| &batch.events) {
            self.happened(event);
        }
        for at in 0..self.nodes.len() {
            let said = self.desk.said(self.nodes[at].id);
            if self.nodes[at].is_linked {
                self.nodes[at].hear(said);
            }
        }
        let running = self.nodes.iter().flat_map(|node| {
            node.held
                .iter()
                .filter(|(_, held)| **held == crate::node::Held::Running)
                .map(|(it, _)| it.task)
        });
        let running: Vec<TaskId> = running.collect();
        let tasks: BTreeSet<&TaskId> = running.iter().collect();
        assert_eq!(tasks.len(), running.len(), "of a task, one attempt runs at a time");
    }

    fn happened(&mut self, event: &Event) {
        self.seen.extend(kinds(event));
        self.model.happened(event);
        match event {
            Event::Assigned { runs, .. } => {
                for run in runs {
                    for index in run.first..run.first + run.count {
                        let task = self.tasks.entry(run.job.task(index)).or_default();
                        assert!(!task.1, "{}.{index}: one attempt is open at a time", run.job);
                        assert!(run.number > task.0, "a number is given once");
                        *task = (run.number, true);
                    }
                }
            }
            Event::Ended(ends) => {
                for end in ends {
                    self.close(end.attempt);
                    let before = self.ends.insert(end.attempt, end.how.clone());
                    assert_eq!(before, None, "an attempt ends once");
                }
            }
            Event::Returned { runs, .. } => {
                for run in runs {
                    for index in run.first..run.first + run.count {
                        self.close(run.job.task(index).attempt(run.number));
                    }
                }
            }
            Event::Removed(job) => {
                self.removed.insert(*job);
            }
            _ => {}
        }
    }

    fn close(&mut self, attempt: AttemptId) {
        let task = self.tasks.get_mut(&attempt.task).expect("it was assigned");
        assert_eq!(*task, (attempt.number, true), "what ends is open");
        task.1 = false;
    }

    fn any_node(&mut self) -> usize {
        self.rng.below(self.nodes.len() as u64) as usize
    }

    /// A node does something, or something befalls it.
    pub fn node_acts(&mut self) {
        let at = self.any_node();
        match self.rng.below(20) {
            0 => self.nodes[at].is_linked = false,
            1 => self.cut(at),
            2 => self.nodes[at].dies(),
            3..6 => self.join(at),
            6..8 => self.beat(at),
            8..12 => self.nodes[at].start(),
            12..15 => self.end_one(at),
            15 => self.repeat(at),
            _ => self.deliver(at),
        }
        self.settle();
    }

    /// The session ends, with all that was on its way; the controller hears of it.
    fn cut(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        (node.is_linked, node.is_welcome) = (false, false);
        node.out.clear();
        let id = NodeId(node.id);
        self.desk.step(|core| core.away(id));
    }

    fn join(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        // A new session: nothing of an earlier one arrives.
        node.out.clear();
        node.is_linked = true;
        let (id, life, cpus) = (node.id, node.life, node.cpus);
        let holds = node.held.keys().copied().collect();
        // What was said before and not heard belongs to the session before.
        self.desk.said(id);
        self.desk.join(id, life, cpus, holds);
    }

    fn beat(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.is_linked {
            let (id, life) = (node.id, node.life);
            self.desk.beat(id, life);
        }
    }

    fn deliver(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.is_linked && !node.out.is_empty() {
            let message = node.out.remove(0);
            let id = node.id;
            self.desk.hear(id, message);
        }
    }

    /// Something that runs begins to wait for jobs, asks again, or gives it up.
    pub fn waits(&mut self) {
        let at = self.any_node();
        let running = self.nodes[at].running();
        let Some(count) = std::num::NonZeroU64::new(running.len() as u64) else { return };
        let attempt = running[self.rng.below(count.get()) as usize];
        let last = self.desk.core.state().last_job;
        if self.waits.contains_key(&attempt) && self.rng.below(8) == 0 {
            let jobs = self.waits.remove(&attempt).unwrap();
            self.desk.ask(Request::Wait { caller: attempt, jobs, leave: true });
        } else {
            let any = JobId(last - self.rng.below(last.min(4)));
            self.waits.entry(attempt).or_insert_with(|| vec![any]);
            self.ask_again(attempt);
        }
        self.settle();
    }

    /// What waits asks whether that is over.
    fn ask_again(&mut self, attempt: AttemptId) {
        let Some(jobs) = self.waits.get(&attempt).cloned() else { return };
        let answer =
            self.desk.ask(Request::Wait { caller: attempt, jobs: jobs.clone(), leave: false });
        match answer {
            Answer::Waits { is_over: true, .. } => {
                for job in jobs {
                    let is_left =
                        |view: &Answer| matches!(view, Answer::Job(view) if view.ended.is_none());
                    assert!(!is_left(&self.desk.ask(Request::Job(job))), "{job} has ended");
                }
                let has_slot = |node: &Node| node.slot(attempt).1 == Slot::Own;
                let on = self.nodes.iter().find(|node| node.running().contains(&attempt));
                assert!(on.is_none_or(has_slot), "{attempt} has its slot");
                self.seen.insert("waited");
                self.waits.remove(&attempt);
            }
            Answer::Waits { .. } => {}
            // It waits for itself, for what is gone, or has ended.
            Answer::Refused(_) => {
                let jobs = self.waits.remove(&attempt).unwrap();
                self.desk.ask(Request::Wait { caller: attempt, jobs, leave: true });
                self.seen.insert("refused to wait");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Something is reported that was before, or never happened.
    fn repeat(&mut self, at: usize) {
        let node = &self.nodes[at];
        let (id, life) = (node.id, node.life);
        let known: Vec<AttemptId> = self.ends.keys().copied().collect();
        let attempt = if known.is_empty() {
            JobId(9).task(9).attempt(9)
        } else {
            known[self.rng.below(known.len() as u64) as usize]
        };
        let before = self.desk.core.state().clone();
        let life = life + self.rng.below(3) - 1;
        let report = match self.rng.below(5) {
            4 => Report::Resumed(attempt, 1),
            0 => Report::Starting(attempt),
            1 => Report::Started(attempt),
            2 => Report::Returned(attempt),
            _ => Report::Ended(attempt, exit(Exit::Code(7))),
        };
        // At this time nothing else may be due.
        self.desk.at = self.desk.core.now();
        self.desk.report(id, life, vec![report]);
        assert_eq!(*self.desk.core.state(), before, "what is late changes nothing");
    }

    fn end_one(&mut self, at: usize) {
        let finish = match self.rng.below(12) {
            0 => exit(Exit::Code(3)),
            1 => exit(Exit::Signal(9)),
            2 => ended(End::TimedOut),
            3 => not_started(Fault::Job),
            4 => not_started(Fault::Node),
            _ => exit(Exit::Code(0)),
        };
        let running = self.nodes[at].running();
        if !running.is_empty() {
            let attempt = running[self.rng.below(running.len() as u64) as usize];
            self.nodes[at].ends(attempt, finish);
        }
    }

    /// Time passes; leases end, and shims kill what runs beyond them.
    pub fn pass(&mut self, millis: u64) {
        let until = self.desk.at + millis;
        while self.desk.at < until {
            let next = self.nodes.iter().map(|node| node.lease).filter(|end| *end > self.desk.at);
            let next = next.min().unwrap_or(until).min(until);
            let span = next - self.desk.at;
            self.desk.pass(span);
            let now = self.desk.at;
            for node in &mut self.nodes {
                if node.lease <= now && node.lease > 0 {
                    node.dies();
                }
            }
            self.settle();
        }
    }

    pub fn restart(&mut self) {
        self.desk.restart();
        for node in &mut self.nodes {
            // Its sessions are over.
            node.out.clear();
            node.is_welcome = false;
            node.is_linked = false;
        }
        self.desk.said.clear();
        self.settle();
    }

    /// All is well from here on: nodes are linked and beat, and what runs succeeds.
    pub fn heal(&mut self) {
        for _ in 0..3_000 {
            if self.is_over() {
                return;
            }
            for at in 0..self.nodes.len() {
                if !self.nodes[at].is_linked || !self.nodes[at].is_welcome {
                    self.join(at);
                    self.settle();
                }
                self.beat(at);
                self.settle();
                self.nodes[at].start();
                for attempt in self.nodes[at].running() {
                    self.ask_again(attempt);
                    self.settle();
                    if !self.waits.contains_key(&attempt)
                        && self.nodes[at].slot(attempt).1 == Slot::Own
                        && self.nodes[at].running().contains(&attempt)
                    {
                        self.nodes[at].ends(attempt, exit(Exit::Code(0)));
                    }
                }
                while !self.nodes[at].out.is_empty() {
                    self.deliver(at);
                    self.settle();
                }
            }
            self.pass(5_000);
        }
    }

    /// Whether nothing is left to do.
    fn is_over(&mut self) -> bool {
        let Answer::Jobs { jobs, .. } = self.desk.ask(Request::Jobs(JobQuery::default())) else {
            panic!("jobs are listed")
        };
        jobs.iter().all(|job| job.ended.is_some())
    }

    /// What the journal says of an end is what is shown, for ever.
    pub fn check_ends(&mut self) {
        for (attempt, how) in self.ends.clone() {
            if self.removed.contains(&attempt.task.job) {
                continue;
            }
            let task = self.desk.task(attempt.task);
            let shown = task.attempts.iter().find(|it| it.record.number == attempt.number);
            let Some(shown) = shown else {
                assert!(task.attempts.len() >= 16, "{attempt} is remembered");
                continue;
            };
            match how {
                How::Lost(_) => assert_eq!(shown.record.end, Some(End::Lost)),
                How::Told(finish) => {
                    let told = shown.record.finish.as_ref().expect("its shim told it");
                    assert_eq!((told.exit, told.ran), (finish.exit, finish.ran));
                }
            }
        }
    }
}

/// All that random runs should come by.
pub const KINDS: [&str; 30] = [
    "blocked",
    "returns",
    "resumed",
    "waited",
    "refused to wait",
    "freed",
    "skipped",
    "stopped",
    "revived",
    "called",
    "joined",
    "gave up",
    "moved",
    "told",
    "lost in silence",
    "lost with its shim",
    "again",
    "again later",
    "returned",
    "returned to be held",
    "cancelled",
    "past the deadline",
    "siblings failed",
    "expired",
    "aborted",
    "held wanted",
    "reopened",
    "removal wanted",
    "drained",
    "quarantined",
];

fn kinds(event: &Event) -> Vec<&'static str> {
    match event {
        Event::Joined { .. } => vec!["joined"],
        Event::GaveUp(_) => vec!["gave up"],
        Event::Moved { .. } => vec!["moved"],
        Event::Ended(ends) => ends.iter().flat_map(kinds_of_end).collect(),
        Event::Returned { then: TaskState::Held, .. } => vec!["returned to be held"],
        Event::Returned { .. } => vec!["returned"],
        Event::Doomed { why: Doom::Cancel, .. } => vec!["cancelled"],
        Event::Doomed { why: Doom::Deadline, .. } => vec!["past the deadline"],
        Event::Doomed { why: Doom::Siblings, .. } => vec!["siblings failed"],
        Event::Set { state: TaskState::Expired, .. } => vec!["expired"],
        Event::Set { state: TaskState::Aborted, .. } => vec!["aborted"],
        Event::HoldWanted { .. } => vec!["held wanted"],
        Event::Reopened { .. } => vec!["reopened"],
        Event::RemovalWanted(_) => vec!["removal wanted"],
        Event::Drained { .. } => vec!["drained"],
        Event::Quarantined { .. } => vec!["quarantined"],
        Event::Decided { decision: Decision::Run, .. } => vec!["freed"],
        Event::Decided { decision: Decision::Skip { .. }, .. } => vec!["skipped"],
        Event::Decided { decision: Decision::Abort { .. }, .. } => vec!["stopped"],
        Event::Revived { .. } => vec!["revived"],
        Event::Called { .. } => vec!["called"],
        Event::Waits { on, .. } if on.is_empty() => vec!["returns"],
        Event::Waits { .. } => vec!["blocked"],
        Event::Resumed(_) => vec!["resumed"],
        _ => Vec::new(),
    }
}

fn kinds_of_end(end: &EndOf) -> [&'static str; 2] {
    let how = match &end.how {
        How::Told(_) => "told",
        How::Lost(Loss::Silence) => "lost in silence",
        How::Lost(Loss::Forgotten) => "lost with its shim",
    };
    let then = match (end.then, &end.how) {
        (Then::Again(_), How::Lost(_)) => "again",
        (Then::Again(_), How::Told(_)) => "again later",
        (Then::Over(_), _) => how,
    };
    [how, then]
}
