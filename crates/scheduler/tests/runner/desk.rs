//! A runner on the desk: the test is its driver, its controller, its shim and its clients.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dx_agents::cell::{Cell, Step};
use dx_agents::context::{DynamicIds, World};
use dx_agents::effect::Effect;
use dx_agents::event::{Envelope, Event};
use dx_agents::message::Body;
use dx_agents::{
    AgentId, AskId, Context, Down, Incarnation, Instant, JournalState, Lane, Message, NodeId,
    Refusal, RefusedBecause,
};
use dx_scheduler::end::{End, Finish};
use dx_scheduler::id::{AttemptId, JobId, ShimId, Term};
use dx_scheduler::message::{
    Assigned, ControllerMessage, Join, Report, RunnerMessage, ToController, ToRunner,
};
use dx_scheduler::processor::{Call, Certainty, Hello, LogPart, Machine, ReadLog, Running, Told};
use dx_scheduler::runner::{Runner, RunnerConfig};
use dx_scheduler::{controller_of, processor_of, runner_of};

pub const NODE: NodeId = NodeId(7);
pub const TERM: Term = Term(3);
pub const LEASE: u64 = 30_000_000_000;
pub const CLIENT: AgentId = AgentId(99);

/// The first life of the shim, and the others.
pub fn life(number: u64) -> ShimId {
    ShimId { node: NODE, incarnation: 100 + number }
}

/// Attempt 1 of a task of job 1.
pub fn attempt(index: u32) -> AttemptId {
    JobId(1).task(index).attempt(1)
}

pub fn attempts(range: std::ops::Range<u32>) -> Vec<AttemptId> {
    range.map(attempt).collect()
}

/// What it said in a step.
#[derive(Debug, Default)]
pub struct Said {
    pub joins: Vec<Join>,
    pub beats: Vec<u64>,
    pub reports: Vec<(ShimId, Report)>,
    /// How many messages they were in.
    pub batches: usize,
    pub calls: Vec<Call>,
    pub answers: Vec<LogPart>,
}

pub struct Desk {
    cell: Cell,
    cx: Context,
    now: Arc<AtomicU64>,
    /// The latest join.
    pub joined: u64,
    timers: Vec<(dx_agents::TimerKey, u64, u64)>,
    asks: u64,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(RunnerConfig::new(NODE, NodeId(1))).0
    }

    pub fn with(config: RunnerConfig) -> (Self, Said) {
        let now = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&now);
        let world = World {
            node: NODE,
            incarnation: Incarnation(3),
            directory: Arc::default(),
            ids: Arc::new(DynamicIds::new(NODE, Incarnation(3))),
            seed: 7,
            clock: Box::new(move || Instant(clock.load(Ordering::Relaxed))),
            journal: Box::new(|| JournalState::None),
        };
        let cell = Cell::new(runner_of(NODE), Box::new(Runner::new(config)));
        let (joined, timers, asks) = (0, Vec::new(), 0);
        let mut desk = Self { cell, cx: Context::new(world), now, joined, timers, asks };
        let said = desk.event(Event::Start(Box::default()));
        (desk, said)
    }

    /// One that is welcome, leased, and has this machine.
    pub fn working(machine: Machine) -> Self {
        let mut desk = Self::new();
        desk.hello(Hello { machine, ..hello(1) });
        desk.welcome(&[]);
        desk.told(Told::Beat { clock: 5 });
        desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 5 });
        desk
    }

    pub fn runner(&self) -> &Runner {
        self.cell.agent().unwrap()
    }

    pub fn event(&mut self, event: Event) -> Said {
        let step = self.cell.step(event, &mut self.cx);
        assert!(matches!(step, Step::Ran | Step::Stale), "{step:?}");
        let mut said = Said::default();
        for effect in std::mem::take(self.cx.effects()) {
            self.carry_out(effect, &mut said);
        }
        said
    }

    fn carry_out(&mut self, effect: Effect, said: &mut Said) {
        match effect {
            Effect::Send { to, body, .. } if to == controller_of(NodeId(1)) => {
                match body.open().unwrap() {
                    ControllerMessage::Runner(ToController::Join(join)) => {
                        self.joined = join.number;
                        said.joins.push(join);
                    }
                    ControllerMessage::Runner(ToController::Beat { clock, .. }) => {
                        said.beats.push(clock);
                    }
                    ControllerMessage::Runner(ToController::Reports { shim, reports }) => {
                        said.batches += 1;
                        said.reports.extend(reports.into_iter().map(|report| (shim, report)));
                    }
                    other => panic!("{other:?}"),
                }
            }
            Effect::Send { to, body, .. } => {
                assert_eq!(to, processor_of(NODE));
                said.calls.push(body.open().unwrap());
            }
            Effect::Reply { to, body } => {
                assert_eq!(to.agent, CLIENT);
                said.answers.push(body.open().unwrap());
            }
            Effect::SetTimer { key, generation, at } => self.timers.push((key, generation, at.0)),
            Effect::ClearTimer { key, .. } => self.timers.retain(|timer| timer.0 != key),
            Effect::Monitor { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn message(&mut self, from: AgentId, ask: Option<AskId>, message: impl Message) -> Said {
        let body = Body::Typed(Box::new(message));
        self.event(Event::Message(Envelope { from, ask, body }))
    }

    /// The controller says something. What waits to be reported is.
    pub fn ctrl(&mut self, message: ToRunner) -> Said {
        let mut said = self.ctrl_at_once(message);
        self.pass_time(&mut said);
        said
    }

    /// The same, and no time passes.
    pub fn ctrl_at_once(&mut self, message: ToRunner) -> Said {
        self.message(controller_of(NodeId(1)), None, RunnerMessage::Controller(message))
    }

    /// The shim does.
    pub fn told(&mut self, told: Told) -> Said {
        let mut said = self.message(processor_of(NODE), None, RunnerMessage::Processor(vec![told]));
        self.pass_time(&mut said);
        said
    }

    /// The same, and no time passes.
    pub fn told_at_once(&mut self, told: Told) -> Said {
        self.message(processor_of(NODE), None, RunnerMessage::Processor(vec![told]))
    }

    pub fn stranger(&mut self, message: RunnerMessage) -> Said {
        self.message(CLIENT, None, message)
    }

    pub fn ask(&mut self, read: ReadLog) -> Said {
        self.asks += 1;
        let ask = AskId(NonZeroU64::new(self.asks).unwrap());
        self.message(CLIENT, Some(ask), RunnerMessage::Read(read))
    }

    pub fn down(&mut self, who: AgentId, why: Down) -> Said {
        self.event(Event::Down(who, why))
    }

    pub fn refused(&mut self, to: AgentId, lane: Lane) -> Said {
        let why = RefusedBecause::Full;
        self.event(Event::Refused(Refusal { to, lane, why, count: 1 }))
    }

    /// Timers of this second fire, each in its time.
    pub fn pass_time(&mut self, said: &mut Said) {
        self.pass(Duration::from_secs(1), said);
    }

    /// So much time passes, in which timers fire that are set now.
    pub fn pass(&mut self, time: Duration, said: &mut Said) {
        self.timers.sort_by_key(|timer| timer.2);
        let end = self.now.load(Ordering::Relaxed) + time.as_nanos() as u64;
        let due = self.timers.partition_point(|timer| timer.2 <= end);
        for (key, generation, at) in self.timers.drain(..due).collect::<Vec<_>>() {
            self.now.fetch_max(at, Ordering::Relaxed);
            let more = self.event(Event::Timer { key, generation });
            said.joins.extend(more.joins);
            said.reports.extend(more.reports);
            said.batches += more.batches;
            said.calls.extend(more.calls);
        }
        self.now.fetch_add(10_000_000, Ordering::Relaxed);
    }

    pub fn hello(&mut self, hello: Hello) -> Said {
        self.told(Told::Hello(hello))
    }

    /// Answers the latest join.
    pub fn welcome(&mut self, keep: &[AttemptId]) -> Said {
        let (term, join, keep) = (TERM, self.joined, keep.to_vec());
        self.ctrl(ToRunner::Welcome { term, join, shim: life(1), lease: LEASE, keep })
    }

    /// Assigns the first attempts of tasks of job 1, which need what `resources` says.
    pub fn assign(&mut self, resources: &str, indices: std::ops::Range<u32>) -> Said {
        let assign = Self::assignment(resources, indices);
        self.ctrl(assign)
    }

    /// The same as it is said.
    pub fn assignment(resources: &str, indices: std::ops::Range<u32>) -> ToRunner {
        let spec = format!(r#"{{ "commands": [], "later": 1, "resources": {resources} }}"#);
        let (first, count) = (indices.start, indices.end - indices.start);
        ToRunner::Assign {
            term: TERM,
            shim: life(1),
            jobs: vec![(JobId(1), spec.into())],
            runs: vec![Assigned { job: JobId(1), first, count, number: 1 }],
        }
    }

    pub fn ends(&mut self, index: u32) -> Said {
        self.told(Told::Ended { attempt: attempt(index), finish: finish(End::Succeeded) })
    }

    pub fn recorded(&mut self, attempts: Vec<AttemptId>) -> Said {
        self.ctrl(ToRunner::Recorded { term: TERM, shim: life(1), attempts })
    }
}

impl Said {
    /// What the shim is to run, in order, with its GPUs.
    pub fn runs(&self) -> Vec<(AttemptId, Vec<u32>)> {
        let runs = self.calls.iter().filter_map(|call| match call {
            Call::Run(runs) => Some(runs),
            _ => None,
        });
        runs.flatten().map(|run| (run.attempt, run.gpus.clone())).collect()
    }

    pub fn started(&self) -> Vec<AttemptId> {
        self.runs().into_iter().map(|(attempt, _)| attempt).collect()
    }

    /// What the shim is to begin in the rooms of others, and how many of its job at a time.
    pub fn followed(&self) -> Vec<(u32, Vec<AttemptId>)> {
        let follows = self.calls.iter().filter_map(|call| match call {
            Call::Follow(follow) => Some((follow.wide, follow.attempts.clone())),
            _ => None,
        });
        follows.collect()
    }

    /// What has room from now on, in order.
    pub fn starting(&self) -> Vec<AttemptId> {
        let starting = self.reports.iter().filter_map(|(_, report)| match report {
            Report::Starting(attempt) => Some(*attempt),
            _ => None,
        });
        starting.collect()
    }

    /// Who has his slot again, and in which round.
    pub fn resumed(&self) -> Vec<(AttemptId, u32)> {
        let resumed = self.reports.iter().filter_map(|(_, report)| match report {
            Report::Resumed(attempt, round) => Some((*attempt, *round)),
            _ => None,
        });
        resumed.collect()
    }

    pub fn returned(&self) -> Vec<AttemptId> {
        let returned = self.reports.iter().filter_map(|(_, report)| match report {
            Report::Returned(attempt) => Some(*attempt),
            _ => None,
        });
        returned.collect()
    }

    pub fn ended(&self) -> Vec<(AttemptId, End)> {
        let ended = self.reports.iter().filter_map(|(_, report)| match report {
            Report::Ended(attempt, finish) => Some((*attempt, finish.end)),
            _ => None,
        });
        ended.collect()
    }

    pub fn is_silent(&self) -> bool {
        self.joins.is_empty() && self.reports.is_empty() && self.calls.is_empty()
    }
}

pub fn cpus(count: u32) -> Machine {
    Machine { cpus: count * 1000, memory: 1 << 30, gpus: 2 }
}

pub fn hello(number: u64) -> Hello {
    Hello {
        shim: life(number),
        number: 1,
        running: Vec::new(),
        ended: Vec::new(),
        kill: Certainty::Certain,
        memory: true,
        overran: Vec::new(),
        machine: cpus(2),
    }
}

pub fn running(index: u32, gpus: &[u32]) -> Running {
    let resources = format!(r#"{{ "cpus": 1, "gpus": {} }}"#, gpus.len()).into();
    Running { attempt: attempt(index), resources, gpus: gpus.to_vec() }
}

pub fn finish(end: End) -> Finish {
    Finish {
        end,
        command: 0,
        exit: None,
        not_started: None,
        yielded: false,
        detached: false,
        ran: 1,
        cpu: 1,
        max_rss: 1,
        printed: 0,
        kept: 0,
    }
}
