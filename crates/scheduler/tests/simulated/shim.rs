//! A simulated shim: a processor whose processes are numbers. What it must keep it keeps in its
//! journal, its lease it counts by its own clock, and its processes die with it.
//!
//! It has a node of its own, so that it outlives the runner, and the other way round.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, NodeId, Recovered, Refusal, TimerKey};
use dx_scheduler::end::{End, Finish, NotStarted};
use dx_scheduler::id::{AttemptId, JobId, ShimId, Term};
use dx_scheduler::job::JobSpec;
use dx_scheduler::message::RunnerMessage;
use dx_scheduler::processor::{
    Call, Certainty, Follow, Hello, KillRun, LogPart, Machine, Progress, ReadLog, Run, Running,
    Told, Usage,
};
use serde::{Deserialize, Serialize};

use super::history::{Over, Shared};
use super::program::{Ends, Program};

pub struct SimShim {
    node: NodeId,
    runner: AgentId,
    machine: Machine,
    /// Whether what it began is on its disk, too.
    remembers_starts: bool,
    history: Shared,
    life: u64,
    term: Term,
    /// The end of the lease, and how long it was, by this machine's clock.
    lease: Option<(u64, u64)>,
    running: BTreeMap<AttemptId, Task>,
    /// What begins when fewer of its job run.
    followers: BTreeMap<JobId, (u32, VecDeque<Run>)>,
    hellos: u64,
    /// With whether it ran past the end of its lease.
    ended: BTreeMap<AttemptId, (Finish, bool)>,
    timers: BTreeMap<u64, AttemptId>,
    next_timer: u64,
    is_unheard: bool,
    untold: Vec<Told>,
    is_gathering: bool,
}

struct Task {
    process: usize,
    program: Program,
    resources: Arc<str>,
    gpus: Vec<u32>,
    grace: Duration,
    began: u64,
    /// When it ends, unless something comes before, and how.
    due: Option<(u64, Why)>,
    timeout_at: Option<u64>,
    timer: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Itself,
    Killed(End),
}

/// What is on its disk.
#[derive(Serialize, Deserialize)]
enum Record {
    Life(u64),
    Started(AttemptId),
    Ended(AttemptId, Finish, bool),
    Forgotten(AttemptId),
}

const BEAT: TimerKey = TimerKey(0);
const FENCE: TimerKey = TimerKey(1);
const TELL: TimerKey = TimerKey(2);
const FIRST_TASK: u64 = 3;

/// Before it knows how long leases are.
const FIRST_BEATS: Duration = Duration::from_millis(200);

/// It begins so early to kill what must be gone at the end of the lease.
const KILLS_BEFORE: u64 = 1_000_000;

/// How long what can wait is gathered.
const GATHER: Duration = Duration::from_millis(20);

/// What a process takes to die of a signal.
const DIES: Duration = Duration::from_millis(3);

impl SimShim {
    pub fn new(
        node: NodeId,
        runner: AgentId,
        machine: Machine,
        remembers_starts: bool,
        history: Shared,
    ) -> Self {
        Self {
            node,
            runner,
            machine,
            remembers_starts,
            history,
            life: 0,
            term: Term::default(),
            lease: None,
            running: BTreeMap::new(),
            followers: BTreeMap::new(),
            hellos: 0,
            ended: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_timer: FIRST_TASK,
            is_unheard: false,
            untold: Vec::new(),
            is_gathering: false,
        }
    }

    /// What stands beside it.
    pub fn history(&self) -> Shared {
        self.history.clone()
    }

    /// Tells it at the end of the step, or later.
    fn tell(&mut self, told: Told) {
        self.untold.push(told);
    }

    /// As a real one, which gathers what can wait.
    fn tell_all(&mut self, cx: &mut Context) {
        if self.untold.is_empty() {
            return;
        }
        let more_can_begin = self.followers.values().any(|(_, waiting)| !waiting.is_empty());
        if !more_can_begin || !self.untold.iter().all(|told| self.can_wait(told)) {
            self.tell_now(cx);
        } else if !std::mem::replace(&mut self.is_gathering, true) {
            self.history.lock().unwrap().gathered += 1;
            cx.set_timer(TELL, GATHER);
        }
    }

    fn tell_now(&mut self, cx: &mut Context) {
        self.is_gathering = false;
        cx.cancel(TELL);
        let is_beat = |told: &Told| matches!(told, Told::Beat { .. });
        let untold = std::mem::take(&mut self.untold);
        for told in untold.chunk_by(|one, next| !is_beat(one) && !is_beat(next)) {
            cx.send(self.runner, RunnerMessage::Processor(told.to_vec()));
        }
    }

    fn can_wait(&self, told: &Told) -> bool {
        match told {
            Told::Started { attempt, .. } | Told::Ended { attempt, .. } => {
                let waiting = self.followers.get(&attempt.task.job).map(|(_, waiting)| waiting);
                waiting.is_some_and(|it| !it.is_empty())
            }
            Told::Progress { .. } | Told::Usage(_) => true,
            _ => false,
        }
    }

    fn keep(record: &Record, cx: &mut Context) {
        cx.persist(serde_json::to_vec(record).unwrap());
    }

    fn recover(&mut self, recovered: Recovered) -> BTreeSet<AttemptId> {
        let mut open = BTreeSet::new();
        for record in recovered.records {
            match serde_json::from_slice(&record).unwrap() {
                Record::Life(life) => self.life = life,
                Record::Started(attempt) => {
                    open.insert(attempt);
                }
                Record::Ended(attempt, finish, overran) => {
                    open.remove(&attempt);
                    self.ended.insert(attempt, (finish, overran));
                }
                Record::Forgotten(attempt) => {
                    open.remove(&attempt);
                    self.ended.remove(&attempt);
                }
            }
        }
        open
    }

    fn begin_life(&mut self, cx: &mut Context) {
        self.life += 1;
        self.lease = None;
        cx.cancel(FENCE);
        Self::keep(&Record::Life(self.life), cx);
        self.say_hello(cx);
    }

    fn overran(&self) -> Vec<AttemptId> {
        let overran = self.ended.iter().filter(|(_, (_, overran))| *overran);
        overran.map(|(attempt, _)| *attempt).collect()
    }

    fn say_hello(&mut self, cx: &mut Context) {
        self.hellos += 1;
        for (_, waiting) in std::mem::take(&mut self.followers).into_values() {
            for run in waiting {
                self.tell(Told::Unknown(run.attempt));
            }
        }
        let running = self.running.iter().map(|(attempt, task)| Running {
            attempt: *attempt,
            resources: Arc::clone(&task.resources),
            gpus: task.gpus.clone(),
        });
        let hello = Hello {
            shim: ShimId { node: self.node, incarnation: self.life },
            number: self.hellos,
            running: running.collect(),
            ended: self.ended.keys().copied().collect(),
            kill: Certainty::Certain,
            memory: true,
            overran: self.overran(),
            machine: self.machine,
        };
        self.tell(Told::Hello(hello));
        let ended = self.ended.iter();
        let told = |(attempt, (finish, _)): (&AttemptId, &(Finish, bool))| Told::Ended {
            attempt: *attempt,
            finish: finish.clone(),
        };
        self.untold.extend(ended.map(told));
        self.beat(cx);
    }

    fn beat(&mut self, cx: &mut Context) {
        let clock = cx.now().0;
        self.tell(Told::Beat { clock });
        let every = self.lease.map_or(FIRST_BEATS, |(_, lease)| Duration::from_nanos(lease / 5));
        cx.set_timer(BEAT, every);
    }

    /// The life is over: nothing of it goes on.
    fn end_life(&mut self, cx: &mut Context) {
        let end = self.lease.map_or(u64::MAX, |(end, _)| end);
        let overslept = cx.now().0 > end;
        let over = if overslept { Over::Overslept } else { Over::Fenced };
        for (attempt, task) in std::mem::take(&mut self.running) {
            let mut history = self.history.lock().unwrap();
            history.ends(task.process, over);
            if overslept {
                history.overran.insert(attempt);
            }
            drop(history);
            cx.cancel(TimerKey(task.timer));
            self.keep_end(attempt, &finish(End::Lost, None, 0), overslept, cx);
        }
        self.timers.clear();
        self.history.lock().unwrap().overslept += u64::from(overslept);
        self.begin_life(cx);
    }

    /// What should have been done by now, and must be before anything else.
    fn catch_up(&mut self, cx: &mut Context) {
        let now = cx.now().0;
        if self.lease.is_some_and(|(end, _)| now + KILLS_BEFORE >= end) {
            self.history.lock().unwrap().expired += 1;
            self.end_life(cx);
        }
    }

    fn keep_end(&mut self, attempt: AttemptId, finish: &Finish, overran: bool, cx: &mut Context) {
        self.ended.insert(attempt, (finish.clone(), overran));
        Self::keep(&Record::Ended(attempt, finish.clone(), overran), cx);
    }

    fn has_ended(&mut self, attempt: AttemptId, finish: &Finish, cx: &mut Context) {
        self.keep_end(attempt, finish, false, cx);
        self.tell(Told::Ended { attempt, finish: finish.clone() });
        self.go_on(attempt.task.job, cx);
    }

    fn follow(&mut self, follow: Follow, cx: &mut Context) {
        let Follow { job, wide, shim, since, spec, attempts } = follow;
        if since != self.hellos {
            return;
        }
        let (at, waiting) = self.followers.entry(job).or_default();
        *at = wide;
        let run = |attempt| Run { attempt, shim, spec: Arc::clone(&spec), gpus: Vec::new() };
        waiting.extend(attempts.into_iter().map(run));
        self.history.lock().unwrap().followed += waiting.len();
        self.go_on(job, cx);
    }

    /// Those of a job begin that have room.
    fn go_on(&mut self, job: JobId, cx: &mut Context) {
        let run = self.running.keys().filter(|it| it.task.job == job).count();
        let Some((wide, waiting)) = self.followers.get_mut(&job) else { return };
        if run < *wide as usize
            && let Some(next) = waiting.pop_front()
        {
            self.run(next, cx);
            self.go_on(job, cx);
        }
    }

    /// It is not to follow. Whether it was.
    fn withdraw(&mut self, attempt: AttemptId) -> bool {
        let waiting = self.followers.get_mut(&attempt.task.job).map(|(_, waiting)| waiting);
        let at = waiting.as_ref().and_then(|it| it.iter().position(|run| run.attempt == attempt));
        at.and_then(|at| waiting?.remove(at)).is_some()
    }

    fn run(&mut self, run: Run, cx: &mut Context) {
        let attempt = run.attempt;
        if run.shim != self.life || self.lease.is_none() {
            return self.tell(Told::Unknown(attempt));
        }
        if self.running.contains_key(&attempt) || self.ended.contains_key(&attempt) {
            return;
        }
        let spec: JobSpec = serde_json::from_str(&run.spec).unwrap();
        let program = Program::of(&spec, attempt.number);
        if let Ends::NotStarted(fault) = program.ends {
            self.history.lock().unwrap().unstarted.insert(attempt);
            let reason = "it cannot be started".to_owned();
            let not_started = Some(NotStarted { fault, errno: 2, reason });
            let finish = Finish { not_started, ..finish(End::Failed, None, 0) };
            return self.has_ended(attempt, &finish, cx);
        }
        let process = self.history.lock().unwrap().begins(attempt, self.node, &spec, &run.gpus);
        if self.remembers_starts {
            Self::keep(&Record::Started(attempt), cx);
        }
        let began = cx.now().0;
        self.next_timer += 1;
        self.timers.insert(self.next_timer, attempt);
        let task = Task {
            process,
            program,
            resources: serde_json::to_string(&spec.resources).unwrap().into(),
            gpus: run.gpus,
            grace: spec.kill.grace.0,
            began,
            due: program.after.map(|after| (began + nanos(after), Why::Itself)),
            timeout_at: spec.timeout.map(|timeout| began + nanos(timeout.0)),
            timer: self.next_timer,
        };
        self.running.insert(attempt, task);
        self.tell(Told::Started { attempt, pid: process as u32 });
        let progress = Progress { label: "begun".to_owned(), step: 1, total: None };
        self.tell(Told::Progress { attempt, progress });
        self.arm(attempt, cx);
    }

    fn arm(&mut self, attempt: AttemptId, cx: &mut Context) {
        let Some(task) = self.running.get(&attempt) else { return };
        let next = task.due.map(|due| due.0).into_iter().chain(task.timeout_at).min();
        if let Some(next) = next {
            let delay = Duration::from_nanos(next.saturating_sub(cx.now().0));
            cx.set_timer(TimerKey(task.timer), delay);
        }
    }

    /// What waited for jobs ends when that is over.
    fn end_what_is_done(&mut self, cx: &mut Context) {
        let now = cx.now().0;
        let done = self.history.lock().unwrap().is_done.clone();
        let done = done.into_iter().filter(|attempt| self.running.contains_key(attempt));
        for attempt in done.collect::<Vec<_>>() {
            let task = self.running.get_mut(&attempt).expect("it was looked for");
            task.due = task.due.or(Some((now, Why::Itself)));
            self.arm(attempt, cx);
        }
    }

    /// Somebody, or its timeout, wants its end.
    fn kill(&mut self, attempt: AttemptId, at_once: bool, why: End, cx: &mut Context) {
        if self.withdraw(attempt) {
            self.history.lock().unwrap().unstarted.insert(attempt);
            return self.has_ended(attempt, &finish(why, None, 0), cx);
        }
        let Some(task) = self.running.get_mut(&attempt) else {
            if !self.ended.contains_key(&attempt) {
                self.tell(Told::Unknown(attempt));
            }
            return;
        };
        let is_asked = !at_once && !task.program.obeys;
        let dies = cx.now().0 + nanos(DIES + if is_asked { task.grace } else { Duration::ZERO });
        task.timeout_at = None;
        let is_first = !matches!(task.due, Some((_, Why::Killed(_))));
        if is_first || task.due.is_some_and(|(due, _)| dies < due) {
            let why = match task.due {
                Some((_, Why::Killed(why))) => why,
                _ => why,
            };
            task.due = Some((dies, Why::Killed(why)));
        }
        self.arm(attempt, cx);
    }

    fn task_due(&mut self, attempt: AttemptId, cx: &mut Context) {
        let now = cx.now().0;
        let Some(task) = self.running.get(&attempt) else { return };
        let is_due = task.due.filter(|(at, _)| *at <= now);
        let timed_out = task.timeout_at.filter(|at| *at <= now);
        match (is_due, timed_out) {
            (Some((at, why)), timeout) if timeout.is_none_or(|timeout| at <= timeout) => {
                let end = match why {
                    Why::Itself => task.program.ends.end(),
                    Why::Killed(end) => end,
                };
                let exit = match task.program.ends {
                    Ends::With(exit) if why == Why::Itself => Some(exit),
                    _ => None,
                };
                let finish = finish(end, exit, now - task.began);
                self.history.lock().unwrap().ends(task.process, Over::Told(end));
                self.timers.remove(&task.timer);
                self.running.remove(&attempt);
                self.has_ended(attempt, &finish, cx);
            }
            (_, Some(_)) => self.kill(attempt, false, End::TimedOut, cx),
            (None, None) => self.arm(attempt, cx),
            (Some(_), None) => unreachable!("it is due"),
        }
    }

    fn log(&self, read: ReadLog) -> LogPart {
        let ReadLog { ticket, attempt, from, .. } = read;
        let history = self.history.lock().unwrap();
        let is_here = history.process(attempt).is_some_and(|process| process.node == self.node);
        let is_known = is_here && !history.dropped_logs.contains(&attempt);
        let is_end = !self.running.contains_key(&attempt);
        LogPart { ticket, attempt, pieces: Vec::new(), next: from, is_end, dropped: 0, is_known }
    }
}

impl Agent for SimShim {
    type Message = Call;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        for attempt in self.recover(recovered) {
            self.keep_end(attempt, &finish(End::Lost, None, 0), false, cx);
        }
        self.begin_life(cx);
        self.tell_all(cx);
    }

    fn message(&mut self, from: AgentId, call: Call, cx: &mut Context) {
        assert_eq!(from, self.runner);
        self.catch_up(cx);
        match call {
            Call::Hello => self.say_hello(cx),
            Call::Run(runs) => runs.into_iter().for_each(|run| self.run(run, cx)),
            Call::Follow(follow) => self.follow(follow, cx),
            Call::Return(attempts) => {
                for attempt in attempts {
                    if self.withdraw(attempt) {
                        self.tell(Told::Unknown(attempt));
                    }
                }
            }
            Call::Kill(kills) => {
                for KillRun { attempt, now } in kills {
                    self.kill(attempt, now, End::Cancelled, cx);
                }
            }
            Call::Forget(attempts) => {
                for attempt in attempts {
                    if let Some((_, overran)) = self.ended.remove(&attempt) {
                        if overran {
                            self.history.lock().unwrap().heard_overran.insert(attempt);
                        }
                        Self::keep(&Record::Forgotten(attempt), cx);
                    }
                }
            }
            Call::DropLogs(attempts) => self.history.lock().unwrap().dropped_logs.extend(attempts),
            Call::Log(read) => {
                let part = self.log(read);
                self.tell(Told::Log(part));
            }
            Call::Renew { clock, lease, term } => {
                let end = clock + lease;
                if term >= self.term && self.lease.is_none_or(|(before, _)| end > before) {
                    self.term = term;
                    self.lease = Some((end, lease));
                    self.history.lock().unwrap().leases.insert(self.node, end);
                    let left = end.saturating_sub(cx.now().0 + KILLS_BEFORE);
                    cx.set_timer(FENCE, Duration::from_nanos(left));
                }
            }
            Call::Abandon { shim } if shim == self.life => {
                self.history.lock().unwrap().abandoned += 1;
                self.end_life(cx);
            }
            Call::Abandon { .. } => {}
            other @ (Call::Status(_) | Call::List | Call::Stop) => {
                panic!("{other:?}: no runner asks so")
            }
        }
        self.tell_all(cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.catch_up(cx);
        match key {
            BEAT => {
                self.end_what_is_done(cx);
                self.beat(cx);
                self.tell(Told::Usage(Usage::default()));
            }
            FENCE => {}
            TELL => self.tell_now(cx),
            TimerKey(timer) => {
                if let Some(attempt) = self.timers.get(&timer).copied() {
                    self.task_due(attempt, cx);
                }
            }
        }
        self.tell_all(cx);
    }

    /// As the connection of a real one breaks, and is made again.
    fn refused(&mut self, _: Refusal, _: &mut Context) {
        self.is_unheard = true;
    }

    fn writable(&mut self, _: AgentId, cx: &mut Context) {
        self.catch_up(cx);
        if std::mem::take(&mut self.is_unheard) {
            self.say_hello(cx);
        }
        self.tell_all(cx);
    }
}

/// The kernel kills what a shim leaves.
impl Drop for SimShim {
    fn drop(&mut self) {
        let Ok(mut history) = self.history.lock() else { return };
        for task in self.running.values() {
            history.dies(task.process);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

fn finish(end: End, exit: Option<dx_scheduler::end::Exit>, ran: u64) -> Finish {
    Finish {
        end,
        command: 0,
        exit,
        not_started: None,
        yielded: false,
        detached: false,
        ran,
        cpu: 0,
        max_rss: 0,
        printed: 0,
        kept: 0,
    }
}
