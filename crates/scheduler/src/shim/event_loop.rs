//! The shim's one loop: it waits for the kernel, for its threads and for time, lets the core
//! decide, and does what it says. Nothing in here waits for a disk.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::end::Finish;
use crate::id::{AttemptId, ShimId};
use crate::processor::{Certainty, Hello, Machine, ReadLog, Told};

use super::clock::boottime;
use super::connections::{Connections, Heard, Retell};
use super::core::{Caller, Core, Effect, Start};
use super::ends::Ends;
use super::launch::Surroundings;
use super::life::{Home, LifeError};
use super::logs::{Done, Logs, Order};
use super::notes::note;
use super::poller::{Poller, Token};
use super::progress::Watch;
use super::readers::Readers;
use super::spawner::{Spawner, Started};
use super::sys;
use super::tasks::{Happened, Tasks};
use super::understand::Understanding;
use super::usage::Meter;
use super::wake::Wake;

/// Ends that are told again at once, before others have their turn.
const RETOLD: usize = 256;

/// How often what needs no event is looked at: usage, what the disk had no room for, whether
/// anybody is interested. The reading of usage is to be younger than 1.5 s.
const SECOND: u64 = 1_000_000_000;

/// How long after a command was to start it is looked at, if nothing happens before. While others
/// wait for its end, that is soon enough: most have ended by then, so that their start need wake
/// nobody, and their output is read once. A guess.
const LOOK: u64 = 3_000_000;

/// How long what is to be told waits for more at most, while other tasks of the job wait here for
/// their turn. A guess: each message is some steps and syncs of the controller, which cost as much
/// as a short task does; and nobody sees progress that is a fiftieth of a second late.
const GATHER: u64 = 20_000_000;

/// How long a shim waits for a caller with nothing to do before it ends. A minute, a guess: longer
/// than a node takes to start again.
const LONELY: u64 = 60 * SECOND;

/// All that a shim has.
pub struct Shim {
    pub(super) core: Core,
    pub(super) home: Home,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) spawner: Spawner,
    pub(super) logs: Logs,
    pub(super) ends: Ends,
    pub(super) tasks: Tasks,
    pub(super) connections: Connections,
    pub(super) readers: Readers,
    pub(super) listener: UnixListener,
    pub(super) poller: Arc<Poller>,
    pub(super) timer: OwnedFd,
    pub(super) wake: Wake,
    pub(super) understanding: Understanding,
    pub(super) meter: Meter,
    pub(super) watch: Watch,
    pub(super) machine: Machine,
    /// What the timer is set to; 0 when it has gone off.
    pub(super) alarm: u64,
    pub(super) next_second: u64,
    /// When what has started is looked at at the latest.
    pub(super) look_at: Option<u64>,
    /// When what is to be told is at the latest.
    pub(super) tell_at: Option<u64>,
    pub(super) heard_at: u64,
    pub(super) is_over: bool,
}

/// What stops the loop.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The kernel refuses what it never does.
    #[error("failed to wait for events: {0}")]
    Wait(#[from] Errno),
    /// Another life could not begin.
    #[error("failed to begin another life: {0}")]
    Life(#[from] LifeError),
}

/// A timer that goes on while the machine sleeps.
pub fn timer() -> Result<OwnedFd, Errno> {
    timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
}

impl Shim {
    /// Runs until it is told to stop, or nobody wants anything of it.
    ///
    /// # Errors
    /// If the kernel or the disk refuses what it cannot do without.
    pub fn run(mut self) -> Result<(), LoopError> {
        sys::turn::be_short();
        self.poller.add(&self.listener, Token::Listener, EventFlags::IN)?;
        self.poller.add(&self.wake, Token::Wake, EventFlags::IN)?;
        self.poller.add(&self.timer, Token::Timer, EventFlags::IN)?;
        self.poller.add(&self.watch, Token::Progress, EventFlags::IN)?;
        let mut happened = Vec::new();
        while !self.is_over {
            self.set_timer()?;
            self.poller.wait(&mut happened)?;
            // First of all: whether the lease is over. Nothing that waited meanwhile comes before.
            self.on_time()?;
            // An end can be heard of before anybody has looked at the start.
            self.take_launched();
            for (token, _) in happened.drain(..) {
                self.on_event(token);
            }
            self.settle()?;
        }
        self.ends.write(u64::MAX);
        if let Some(cgroups) = &self.surroundings.cgroups {
            super::cgroup::Cgroups::clean(cgroups.root());
        }
        Ok(())
    }

    fn on_time(&mut self) -> Result<(), LoopError> {
        let now = boottime();
        self.core.tick(now);
        self.apply()?;
        self.ends.write(now);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look();
        }
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.each_second(now);
        }
        Ok(())
    }

    /// Looks at what has started and not ended since: from now on what it prints is read at once.
    fn look(&mut self) {
        self.look_at = None;
        if self.spawner.is_busy() {
            // It takes its time: nobody looks again before it has started.
            self.spawner.wake_at_next();
        }
        self.take_launched();
        self.tasks.listen(&self.poller);
    }

    fn each_second(&mut self, now: u64) {
        self.ends.retry();
        super::strays::reap_orphans();
        if let Some(usage) = self.meter.read()
            && !self.connections.is_empty()
        {
            self.tell(&Told::Usage(usage));
        }
        if !self.connections.is_empty() || self.core.running().next().is_some() {
            self.heard_at = now;
        } else if now > self.heard_at + LONELY {
            note(format_args!("nobody wants anything: ending"));
            self.is_over = true;
        }
    }

    fn on_event(&mut self, token: Token) {
        match token {
            Token::Listener => self.connections.accept(&self.listener, &self.poller),
            Token::Wake => self.wake.clear(),
            Token::Timer => {
                self.alarm = 0;
                // It went off, so there is something to read; how often does not matter.
                let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            }
            Token::Progress => self.watch.look(),
            Token::Connection(caller) => self.connections.read(caller),
            Token::Leader(slot) => self.tasks.ended(slot, &self.poller, &self.logs),
            Token::Output(slot, stream) => {
                self.tasks.printed(slot, stream, &self.poller, &self.logs);
            }
            Token::Stray(slot) | Token::Cgroup(slot) => self.tasks.look_again(slot),
        }
    }

    /// Brings everything that has happened to the core, until nothing more follows from it.
    fn settle(&mut self) -> Result<(), LoopError> {
        loop {
            self.take_launched();
            self.take_kept();
            self.take_done();
            while let Some((caller, heard)) = self.connections.next() {
                self.on_heard(caller, heard);
                self.apply()?;
            }
            self.tasks.look(self.spawner.is_busy(), &self.poller, &self.logs);
            let happened = self.tasks.take();
            let is_quiet = happened.is_empty();
            self.on_tasks(happened);
            self.apply()?;
            if is_quiet && !self.tasks.has_more() {
                break;
            }
        }
        for (id, progress) in self.watch.take(boottime()) {
            if self.core.is_running(id) {
                self.tell(&Told::Progress { attempt: id, progress });
            }
        }
        while let Some((caller, from)) = self.connections.hungry() {
            self.retell(caller, from);
        }
        if !self.is_gathering() {
            let gone = self.connections.flush(&self.poller);
            self.readers.gone(&gone);
            self.core.told_all();
        }
        // What follows has begun by now.
        self.tasks.give_back();
        Ok(())
    }

    fn tell(&mut self, told: &Told) {
        self.connections.tell(told, self.core.can_wait(told));
    }

    /// Whether what is to be told waits for more.
    fn is_gathering(&mut self) -> bool {
        let more_can_begin = self.core.has_followers() && !self.core.followers_run_low();
        if !more_can_begin || !self.connections.can_wait() {
            self.tell_at = None;
            return false;
        }
        let now = boottime();
        let is_due = *self.tell_at.get_or_insert(now + GATHER) <= now;
        if is_due {
            self.tell_at = None;
        }
        !is_due
    }

    fn take_launched(&mut self) {
        let now = boottime();
        for Started { slot, start, at, launched } in self.spawner.take() {
            let Start { attempt, work, .. } = start;
            let result = launched.map(|launched| {
                let pid = launched.child.pid.as_raw_nonzero().get();
                self.tasks.launched(slot, attempt, &work, launched, &self.logs);
                (at, u32::try_from(pid).expect("the number of a process is positive"))
            });
            self.core.started(now, attempt, result);
        }
        if !self.core.has_followers() {
            self.tasks.listen(&self.poller);
        } else if self.tasks.has_fresh() {
            self.look_at.get_or_insert(now + LOOK);
        }
    }

    /// What has an end on the disk needs its place no longer, by which a later life would know that
    /// it has run.
    fn take_kept(&mut self) {
        let written = self.ends.take();
        self.leave_places(written);
    }

    fn leave_places(&self, ids: Vec<AttemptId>) {
        if !ids.is_empty() {
            self.logs.order(Order::Leave(ids));
        }
    }

    /// There is more of a log, or it is at its end.
    fn read_on(&mut self, id: AttemptId) {
        for (caller, read) in self.readers.take(id) {
            self.read(caller, read);
        }
    }

    fn take_done(&mut self) {
        for done in self.logs.take().collect::<Vec<_>>() {
            match done {
                Done::Appended(id, bytes) => {
                    self.tasks.written(id, bytes, &self.poller);
                    self.read_on(id);
                }
                Done::Closed { attempt, kept } => {
                    let printed = self.tasks.printed_in_all(attempt).unwrap_or(0);
                    self.core.closed(attempt, printed, kept);
                }
                Done::Part(caller, part) => {
                    self.connections.end_read(caller);
                    self.connections.answer(caller, &Told::Log(part));
                }
                Done::Nothing(caller, read) => {
                    self.connections.end_read(caller);
                    let may_wait = self.core.is_running(read.attempt);
                    if !may_wait || !self.readers.wait(caller, read) {
                        self.read(caller, ReadLog { wait: false, ..read });
                    }
                }
            }
        }
    }

    fn on_heard(&mut self, caller: Caller, heard: Heard) {
        let now = boottime();
        self.heard_at = now;
        match heard {
            Heard::Greeted => self.core.hello(caller),
            Heard::Call(call) => match self.understanding.of(call) {
                Ok(call) => {
                    self.connections.supersede(caller);
                    self.core.call(now, caller, call);
                    self.home.note_lease(self.core.lease_end());
                }
                Err(error) => self.connections.refuse(caller, &error),
            },
        }
    }

    fn on_tasks(&mut self, happened: Vec<Happened>) {
        let now = boottime();
        for it in happened {
            match it {
                Happened::Exited(id, exit, is_open) => self.core.exited(now, id, exit, is_open),
                Happened::Printed(id, is_full) => self.core.printed(now, id, is_full),
                Happened::Held(id, is_held) => self.core.held(now, id, is_held),
                Happened::Silent(id) => self.core.fell_silent(now, id),
                Happened::Cleared(id, measured) => self.core.cleared(now, id, measured),
            }
        }
    }

    /// Does what the core wants.
    fn apply(&mut self) -> Result<(), LoopError> {
        loop {
            let effects = self.core.effects();
            if effects.is_empty() {
                return Ok(());
            }
            for effect in effects {
                self.perform(effect)?;
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Result<(), LoopError> {
        match effect {
            Effect::Start(start) => {
                if !self.core.has_followers() {
                    // Somebody may be waiting for just this.
                    self.spawner.wake_at_next();
                }
                self.spawner.start(self.tasks.next_slot(), start);
                self.look_at.get_or_insert(boottime() + LOOK);
            }
            Effect::Signal(id, signal) => self.tasks.signal(id, signal),
            Effect::Clear(id) => self.tasks.clear(id),
            Effect::Close { attempt, drop } => match self.tasks.printed_in_all(attempt) {
                Some(printed) => self.logs.order(Order::Close { attempt, printed, drop }),
                None => self.core.closed(attempt, 0, 0),
            },
            Effect::Keep(id, end) => {
                self.ends.keep(boottime(), id, &end);
                self.watch.forget(id);
                self.tasks.remove(id);
                self.read_on(id);
            }
            Effect::Forget(ids) => {
                let unwritten = self.ends.forget(boottime(), &ids);
                self.leave_places(unwritten);
            }
            Effect::Tell(told) => self.tell(&told),
            Effect::Answer(caller, told) => self.connections.answer(caller, &told),
            Effect::Hello(Some(caller)) => self.hello(caller),
            Effect::Hello(None) => {
                for caller in self.connections.callers() {
                    self.hello(caller);
                }
            }
            Effect::Read(caller, read) => self.read(caller, read),
            Effect::DropLogs(ids) => self.logs.order(Order::Drop(ids)),
            Effect::NewLife => {
                let node = self.surroundings.node;
                let incarnation = self.home.next_life()?;
                note(format_args!("the lease is over: life {incarnation} begins"));
                self.core.begin(ShimId { node, incarnation });
            }
            Effect::Exit => self.is_over = true,
        }
        Ok(())
    }

    fn hello(&mut self, caller: Caller) {
        let surroundings = &self.surroundings;
        let hello = Hello {
            shim: self.core.shim(),
            number: self.core.hellos(),
            running: self.core.running().collect(),
            ended: self.core.ended(None).map(|(id, _)| id).collect(),
            kill: match surroundings.cgroups {
                Some(_) => Certainty::Certain,
                None => Certainty::BestEffort,
            },
            memory: surroundings
                .cgroups
                .as_ref()
                .is_some_and(super::cgroup::Cgroups::limits_memory),
            overran: self.core.overran().collect(),
            machine: self.machine,
        };
        self.connections.answer(caller, &Told::Hello(hello));
        for (attempt, pid) in self.core.processes() {
            self.connections.answer(caller, &Told::Started { attempt, pid });
        }
        self.connections.retell(caller);
    }

    /// Tells some of the ends that are kept, from one on.
    fn retell(&mut self, caller: Caller, from: Retell) {
        let from = match from {
            Retell::First => None,
            Retell::From(id) => Some(id),
        };
        let told = |(attempt, finish): (AttemptId, &Finish)| Told::Ended {
            attempt,
            finish: finish.clone(),
        };
        let ends: Vec<Told> = self.core.ended(from).take(RETOLD).map(told).collect();
        let next = self.core.ended(from).nth(RETOLD).map(|(id, _)| id);
        self.connections.feed(caller, &ends, next);
    }

    fn read(&mut self, caller: Caller, read: ReadLog) {
        self.connections.begin_read(caller);
        let is_open = self.core.is_running(read.attempt);
        let is_known = self.core.knows(read.attempt);
        self.logs.order(Order::Read { caller, read, is_open, is_known });
    }

    fn set_timer(&mut self) -> Result<(), Errno> {
        let now = boottime();
        let soonest = [
            self.core.deadline(now),
            self.next_second,
            self.watch.due(),
            self.ends.due(),
            self.look_at.unwrap_or(u64::MAX),
            self.tell_at.unwrap_or(u64::MAX),
        ];
        let at = soonest.into_iter().min().unwrap_or(0).max(1);
        // One that goes off too early costs less than to set it each time.
        if (1..=at).contains(&self.alarm) {
            return Ok(());
        }
        self.alarm = at;
        let value = Timespec {
            tv_sec: i64::try_from(at / SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at % SECOND).expect("less than a second"),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once).map(drop)
    }
}
