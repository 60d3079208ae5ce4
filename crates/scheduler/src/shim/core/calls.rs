//! What is asked of the shim.

use std::sync::Arc;

use crate::end::{End, NotStarted};
use crate::id::{AttemptId, JobId, Term};
use crate::processor::{KillRun, ReadLog, Told};
use crate::shim::work::Work;

use super::attempt::Attempt;
use super::{Caller, Core, Effect, EndOfLife, MAX_ACTIVE};

/// A [`Call`](crate::processor::Call), with the jobs as what they are.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// See [`Call::Hello`](crate::processor::Call::Hello).
    Hello,
    /// See [`Call::Run`](crate::processor::Call::Run).
    Run(Vec<ParsedRun>),
    /// See [`Call::Follow`](crate::processor::Call::Follow).
    Follow(ParsedFollow),
    /// See [`Call::Return`](crate::processor::Call::Return).
    Return(Vec<AttemptId>),
    /// See [`Call::Kill`](crate::processor::Call::Kill).
    Kill(Vec<KillRun>),
    /// See [`Call::Status`](crate::processor::Call::Status).
    Status(Vec<AttemptId>),
    /// See [`Call::List`](crate::processor::Call::List).
    List,
    /// See [`Call::Log`](crate::processor::Call::Log).
    Log(ReadLog),
    /// See [`Call::Forget`](crate::processor::Call::Forget).
    Forget(Vec<AttemptId>),
    /// See [`Call::DropLogs`](crate::processor::Call::DropLogs).
    DropLogs(Vec<AttemptId>),
    /// See [`Call::Renew`](crate::processor::Call::Renew).
    Renew {
        /// The beat's clock.
        clock: u64,
        /// The lease's length.
        lease: u64,
        /// Of the controller.
        term: Term,
    },
    /// See [`Call::Abandon`](crate::processor::Call::Abandon).
    Abandon {
        /// The life.
        shim: u64,
    },
    /// See [`Call::Stop`](crate::processor::Call::Stop).
    Stop,
}

/// An attempt to run.
#[derive(Clone, Debug)]
pub struct ParsedRun {
    /// Which.
    pub attempt: AttemptId,
    /// The life that it is meant for.
    pub shim: u64,
    /// The job, or why it cannot be run.
    pub work: Result<Arc<Work>, NotStarted>,
    /// The GPUs that are its own.
    pub gpus: Arc<[u32]>,
}

/// A [`Follow`](crate::processor::Follow), with its job as what it is.
#[derive(Clone, Debug)]
pub struct ParsedFollow {
    /// Which job.
    pub job: JobId,
    /// How many of it are under way at a time.
    pub wide: u32,
    /// The life that they are meant for.
    pub shim: u64,
    /// The last hello that was heard.
    pub since: u64,
    /// The job, or why it cannot be run.
    pub work: Result<Arc<Work>, NotStarted>,
    /// Which attempts.
    pub attempts: Vec<AttemptId>,
}

impl Core {
    /// Somebody calls.
    pub fn call(&mut self, now: u64, caller: Caller, call: Parsed) {
        match call {
            Parsed::Hello => self.hello(caller),
            Parsed::Run(runs) => self.run(now, caller, runs),
            Parsed::Follow(follow) => self.follow(now, caller, follow),
            Parsed::Return(ids) => {
                for id in ids {
                    if self.lanes.withdraw(id) {
                        self.active.remove(&id);
                        self.answer(caller, Told::Unknown(id));
                    }
                }
                self.finish_life();
            }
            Parsed::Kill(kills) => kills.into_iter().for_each(|it| self.kill(now, caller, it)),
            Parsed::Status(ids) => ids.into_iter().for_each(|id| self.status(caller, id)),
            Parsed::List => {
                let running = self.active.keys().copied().collect();
                let ended = self.ended.keys().copied().collect();
                self.answer(caller, Told::List { running, ended });
            }
            Parsed::Log(read) => self.effects.push(Effect::Read(caller, read)),
            Parsed::Forget(ids) => {
                let known: Vec<_> =
                    ids.into_iter().filter(|id| self.ended.remove(id).is_some()).collect();
                if !known.is_empty() {
                    self.effects.push(Effect::Forget(known));
                }
            }
            Parsed::DropLogs(ids) => {
                let idle = ids.into_iter().filter(|id| !self.active.contains_key(id)).collect();
                self.effects.push(Effect::DropLogs(idle));
            }
            Parsed::Renew { clock, lease, term } => {
                if self.ending.is_none() {
                    self.lease.renew(clock, lease, term);
                    self.start_waiting();
                }
            }
            Parsed::Abandon { shim } => {
                if shim == self.shim.incarnation && self.ending.is_none() {
                    self.end_life(now, 0);
                    self.finish_life();
                }
            }
            Parsed::Stop => {
                self.ending = Some(EndOfLife::Stop);
                self.end_all(now, u64::MAX);
                self.finish_life();
            }
        }
    }

    /// Somebody listens: how it is, and a beat, so that work need not wait for one.
    pub fn hello(&mut self, caller: Caller) {
        self.let_followers_go();
        self.hellos += 1;
        self.effects.push(Effect::Hello(Some(caller)));
        self.lease.hurry();
    }

    fn run(&mut self, now: u64, caller: Caller, runs: Vec<ParsedRun>) {
        for ParsedRun { attempt: id, shim, work, gpus } in runs {
            if !self.is_welcome(caller, id, shim) {
                continue;
            }
            self.lanes.begin(id);
            match work {
                Ok(work) => {
                    self.active.insert(id, Attempt::new(work, gpus));
                    self.waiting.push_back(id);
                }
                Err(why) => self.never_runs(now, id, why),
            }
        }
        self.start_waiting();
    }

    fn follow(&mut self, now: u64, caller: Caller, follow: ParsedFollow) {
        let ParsedFollow { job, wide, shim, since, work, attempts } = follow;
        if shim == self.shim.incarnation && since != self.hellos {
            // It crossed a hello, by which its caller has it as forgotten.
            return;
        }
        for id in attempts {
            if !self.is_welcome(caller, id, shim) {
                continue;
            }
            match &work {
                Ok(work) => {
                    self.active.insert(id, Attempt::new(Arc::clone(work), Arc::default()));
                    self.lanes.wait(id);
                }
                Err(why) => {
                    self.lanes.begin(id);
                    self.never_runs(now, id, why.clone());
                }
            }
        }
        self.lanes.widen(job, wide);
        self.begin_followers(job);
        self.start_waiting();
    }

    /// Whether it is new here, and may run. If it may not, its caller is told.
    fn is_welcome(&mut self, caller: Caller, id: AttemptId, shim: u64) -> bool {
        if self.active.contains_key(&id) || self.ended.contains_key(&id) {
            return false;
        }
        let is_for_this = shim == self.shim.incarnation && self.ending.is_none();
        let may = is_for_this && self.active.len() < MAX_ACTIVE;
        if !may {
            self.answer(caller, Told::Unknown(id));
        }
        may
    }

    /// Its job makes no sense here.
    fn never_runs(&mut self, now: u64, id: AttemptId, why: NotStarted) {
        self.active.insert(id, Attempt::new(Arc::default(), Arc::default()));
        self.close(id, |attempt| attempt.not_started(now, Some(why)));
    }

    fn kill(&mut self, now: u64, caller: Caller, kill: KillRun) {
        let id = kill.attempt;
        if !self.active.contains_key(&id) {
            return self.status(caller, id);
        }
        self.with(now, id, |attempt| {
            let grace = if kill.now { 0 } else { attempt.grace() };
            attempt.end(now, End::Cancelled, grace)
        });
    }

    fn status(&mut self, caller: Caller, id: AttemptId) {
        let told = match (self.active.get(&id), self.ended.get(&id)) {
            (Some(attempt), _) => match attempt.began {
                Some((_, pid)) => Told::Started { attempt: id, pid },
                // It is known, and there is nothing to tell of it yet.
                None => return,
            },
            (None, Some(it)) => Told::Ended { attempt: id, finish: it.finish.clone() },
            (None, None) => Told::Unknown(id),
        };
        self.answer(caller, told);
    }

    fn answer(&mut self, caller: Caller, told: Told) {
        self.effects.push(Effect::Answer(caller, told));
    }
}
