//! What the shim decides: which attempts run, when they are killed, how they end. It touches
//! nothing: time is an argument, and what is to be done are [`Effect`]s.
//!
//! ```text
//! Waiting -> Starting -> Running -> (Lingering ->) Clearing -> Closing -> an end
//!    ^------------- the next command -----------------'
//! ```
//!
//! *Invariant:* an end is told when nothing is left, and is on its way to the disk by then. If this
//! process dies within that moment, the attempt is lost, as any under a shim that was killed; whoever
//! heard of the end before knows better. So nobody waits for a disk, and no room stands empty.
//! *Invariant:* without a lease nothing starts; when it is over, all is killed before anything else
//! is heard.

mod attempt;
mod calls;
mod effect;
mod lanes;
mod lease;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::end::{End, Exit, Finish, NotStarted};
use crate::id::{AttemptId, JobId, ShimId};
use crate::processor::{Running, Told};

use attempt::{Attempt, Blow, Ending, Next, Stage};
use lanes::Lanes;
use lease::{Lease, Standing};

pub use attempt::Measured;
pub use calls::{Parsed, ParsedFollow, ParsedRun};
pub use effect::{Caller, Effect, Start};

/// The most attempts of which something may run or wait at a time. More than any machine has
/// room for; those beyond are refused.
pub const MAX_ACTIVE: usize = 1 << 16;

/// See the [module](self).
#[derive(Debug)]
pub struct Core {
    shim: ShimId,
    /// How often it has said how it is.
    hellos: u64,
    lease: Lease,
    active: BTreeMap<AttemptId, Attempt>,
    ended: BTreeMap<AttemptId, Ended>,
    /// Attempts whose next command waits, in the order of their arrival.
    waiting: VecDeque<AttemptId>,
    /// Attempts that wait for the ends of others of their job.
    lanes: Lanes,
    /// Attempts that have descriptors, and how many may.
    room: Room,
    deadlines: BTreeSet<(u64, AttemptId)>,
    /// This life ends: nothing starts any more.
    ending: Option<EndOfLife>,
    /// What ran when its lease was over, and has not ended.
    overran: BTreeSet<AttemptId>,
    effects: Vec<Effect>,
}

/// An end that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended.
    pub finish: Finish,
    /// Whether it ran past the end of a lease, and so may have overlapped with others.
    pub overran: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndOfLife {
    /// The lease is over, or nearly.
    Lease,
    /// It was told to stop.
    Stop,
    /// All is over, and the driver knows.
    Told,
}

#[derive(Debug)]
struct Room {
    taken: usize,
    most: usize,
}

impl Core {
    /// A life begins. `ended` are the ends that earlier ones have kept; at most `most` commands
    /// run at a time.
    pub fn new(shim: ShimId, ended: BTreeMap<AttemptId, Ended>, most: usize) -> Self {
        Self {
            shim,
            hellos: 0,
            lease: Lease::default(),
            active: BTreeMap::new(),
            ended,
            waiting: VecDeque::new(),
            lanes: Lanes::default(),
            room: Room { taken: 0, most },
            deadlines: BTreeSet::new(),
            ending: None,
            overran: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`tick`](Self::tick) is due.
    pub fn deadline(&self, now: u64) -> u64 {
        let attempts = self.deadlines.first().map_or(u64::MAX, |(at, _)| *at);
        attempts.min(self.lease.deadline(now))
    }

    /// Time has passed. Comes before anything else that has happened meanwhile.
    pub fn tick(&mut self, now: u64) {
        match self.lease.standing(now) {
            Standing::None | Standing::Runs => {}
            Standing::Ends { grace } => self.end_life(now, grace),
            Standing::Over => {
                let runs = self.active.iter().filter(|(_, it)| it.may_run());
                self.overran.extend(runs.map(|(id, _)| *id));
                self.end_life(now, 0);
            }
        }
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            self.with(now, id, |attempt| attempt.due(now));
        }
        if self.lease.beat(now) {
            self.effects.push(Effect::Tell(Told::Beat { clock: now }));
        }
        self.start_waiting();
        self.finish_life();
    }

    /// The command that was to start has started as process `pid`, at some time before now, or has
    /// not.
    pub fn started(&mut self, now: u64, id: AttemptId, result: Result<(u64, u32), NotStarted>) {
        match result {
            Ok((at, pid)) => self.with(now, id, |attempt| {
                attempt.started(at, pid);
                Blow::Nothing
            }),
            Err(why) => {
                self.room.taken -= 1;
                self.close(id, |attempt| attempt.not_started(now, Some(why)));
                return;
            }
        }
        if let Some(attempt) = self.active.get(&id)
            && attempt.command == 0
            && let Some((_, pid)) = attempt.began
        {
            self.effects.push(Effect::Tell(Told::Started { attempt: id, pid }));
        }
        self.with(now, id, |attempt| attempt.struck(now));
    }

    /// The command has ended; `is_open` says whether something keeps its output open.
    pub fn exited(&mut self, now: u64, id: AttemptId, exit: Exit, is_open: bool) {
        self.with(now, id, |attempt| attempt.exited(now, exit, is_open));
    }

    /// Something was printed; `is_full` says that no more of it is kept.
    pub fn printed(&mut self, now: u64, id: AttemptId, is_full: bool) {
        self.with(now, id, |attempt| attempt.printed(now, is_full));
    }

    /// The disk is waited for before more of its output is read, or not any more.
    pub fn held(&mut self, now: u64, id: AttemptId, is_held: bool) {
        self.with(now, id, |attempt| attempt.held(now, is_held));
    }

    /// Nothing keeps the output open any more.
    pub fn fell_silent(&mut self, now: u64, id: AttemptId) {
        self.with(now, id, Attempt::fell_silent);
    }

    /// Nothing of the command is left, and all that it printed was read.
    pub fn cleared(&mut self, now: u64, id: AttemptId, measured: Measured) {
        let Some(attempt) = self.active.get_mut(&id) else { return };
        self.room.taken -= 1;
        match attempt.cleared(now, measured) {
            // Before those that have not begun: it has a place already.
            Next::Command => self.waiting.push_front(id),
            Next::End(ending) => self.close(id, |_| ending),
        }
        self.start_waiting();
    }

    /// The log is at its end: so many bytes were printed, so many of them are kept.
    pub fn closed(&mut self, id: AttemptId, printed: u64, kept: u64) {
        let Some(attempt) = self.active.get(&id) else { return };
        let Stage::Closing(ending) = &attempt.stage else { return };
        let finish = attempt.finish(ending, printed, kept);
        self.active.remove(&id);
        let ended = Ended { finish: finish.clone(), overran: self.overran.remove(&id) };
        self.effects.push(Effect::Keep(id, ended.clone()));
        self.effects.push(Effect::Tell(Told::Ended { attempt: id, finish }));
        self.ended.insert(id, ended);
        self.lanes.end(id);
        self.begin_followers(id.task.job);
        self.start_waiting();
        self.finish_life();
    }

    /// Another life begins, and its number is on the disk.
    pub fn begin(&mut self, shim: ShimId) {
        self.shim = shim;
        self.ending = None;
        self.lease.drop_grant();
        self.hellos += 1;
        self.effects.push(Effect::Hello(None));
    }

    /// The number of its last hello.
    pub fn hellos(&self) -> u64 {
        self.hellos
    }

    /// Its life.
    pub fn shim(&self) -> ShimId {
        self.shim
    }

    /// What has not ended, with what it takes.
    pub fn running(&self) -> impl Iterator<Item = Running> {
        self.active.iter().map(|(id, it)| {
            let resources = serde_json::to_string(&it.work.spec.resources);
            let resources = resources.expect("resources have text keys only").into();
            Running { attempt: *id, resources, gpus: it.gpus.to_vec() }
        })
    }

    /// The ends that are kept, from the first that is `from` or later.
    pub fn ended(&self, from: Option<AttemptId>) -> impl Iterator<Item = (AttemptId, &Finish)> {
        let from = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        self.ended.range((from, std::ops::Bound::Unbounded)).map(|(id, it)| (*id, &it.finish))
    }

    /// Whether anything waits for the end of another: then no room stands empty while its runner
    /// hears nothing.
    pub fn has_followers(&self) -> bool {
        self.lanes.has_any()
    }

    /// Whether it may be told later: more of its job waits here, so that no room stands empty
    /// meanwhile.
    pub fn can_wait(&self, told: &Told) -> bool {
        match told {
            Told::Started { attempt, .. } | Told::Ended { attempt, .. } => {
                self.lanes.has(attempt.task.job)
            }
            Told::Progress { .. } | Told::Usage(_) => true,
            _ => false,
        }
    }

    /// Whether so many of a job have begun in the rooms of others that their runner is to hear of
    /// it, before none is left that could.
    pub fn followers_run_low(&self) -> bool {
        self.lanes.run_low()
    }

    /// All that happened is told.
    pub fn told_all(&mut self) {
        self.lanes.told();
    }

    /// Whether it has not ended.
    pub fn is_running(&self, id: AttemptId) -> bool {
        self.active.contains_key(&id)
    }

    /// Whether anything of it may run, or its end is kept.
    pub fn knows(&self, id: AttemptId) -> bool {
        self.active.contains_key(&id) || self.ended.contains_key(&id)
    }

    /// Of the ends that are kept, those of what ran past the end of a lease.
    pub fn overran(&self) -> impl Iterator<Item = AttemptId> {
        self.ended.iter().filter(|(_, it)| it.overran).map(|(id, _)| *id)
    }

    /// When the lease is over, if there is one.
    pub fn lease_end(&self) -> Option<u64> {
        self.lease.end()
    }

    /// What has started and not ended, as it was told.
    pub fn processes(&self) -> impl Iterator<Item = (AttemptId, u32)> {
        self.active.iter().filter_map(|(id, it)| it.began.map(|(_, pid)| (*id, pid)))
    }

    /// Does something to an attempt, strikes as it says, and sees to its deadline.
    fn with(&mut self, now: u64, id: AttemptId, what: impl FnOnce(&mut Attempt) -> Blow) {
        let Some(attempt) = self.active.get_mut(&id) else { return };
        let before = attempt.deadline();
        let blow = what(attempt);
        let after = attempt.deadline();
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, id)));
        }
        after.map(|at| self.deadlines.insert((at, id)));
        match blow {
            Blow::Nothing => {}
            Blow::Clear => self.effects.push(Effect::Clear(id)),
            Blow::Signal => {
                let signal = attempt.work.signal;
                self.effects.push(Effect::Signal(id, signal));
            }
            Blow::Over => {
                self.waiting.retain(|waiting| *waiting != id);
                if self.lanes.withdraw(id) {
                    self.lanes.begin(id);
                }
                self.close(id, |attempt| attempt.not_started(now, None));
            }
        }
    }

    /// Nothing of it is left.
    fn close(&mut self, id: AttemptId, ending: impl FnOnce(&Attempt) -> Ending) {
        let Some(attempt) = self.active.get_mut(&id) else { return };
        if let Some(at) = attempt.deadline() {
            self.deadlines.remove(&(at, id));
        }
        let ending = ending(attempt);
        let drop = ending.end == End::Succeeded && attempt.work.spec.output.drop_if_ok;
        attempt.stage = Stage::Closing(ending);
        self.effects.push(Effect::Close { attempt: id, drop });
    }

    /// All is killed, with at most so much grace, and lost.
    fn end_life(&mut self, now: u64, grace: u64) {
        self.ending.get_or_insert(EndOfLife::Lease);
        self.end_all(now, grace);
    }

    fn end_all(&mut self, now: u64, grace: u64) {
        self.let_followers_go();
        for id in self.active.keys().copied().collect::<Vec<_>>() {
            self.with(now, id, |attempt| {
                let grace = grace.min(attempt.grace());
                attempt.end(now, End::Lost, grace)
            });
        }
    }

    /// What was to follow is given back: whoever gave it has it as what was not given.
    fn let_followers_go(&mut self) {
        for id in self.lanes.take() {
            self.active.remove(&id);
            self.effects.push(Effect::Tell(Told::Unknown(id)));
        }
    }

    /// Those of a job begin whose rooms are free.
    fn begin_followers(&mut self, job: JobId) {
        while let Some(id) = self.lanes.next(job) {
            self.waiting.push_back(id);
        }
    }

    fn finish_life(&mut self) {
        if self.active.is_empty()
            && let Some(ending) = self.ending
        {
            self.ending = Some(EndOfLife::Told);
            match ending {
                EndOfLife::Lease => self.effects.push(Effect::NewLife),
                EndOfLife::Stop => self.effects.push(Effect::Exit),
                EndOfLife::Told => {}
            }
        }
    }

    /// Starts what waits, as far as there is room.
    fn start_waiting(&mut self) {
        if self.ending.is_some() || self.lease.is_none() {
            return;
        }
        while self.room.taken < self.room.most
            && let Some(id) = self.waiting.pop_front()
        {
            let attempt = self.active.get_mut(&id).expect("what waits is active");
            attempt.stage = Stage::Starting;
            self.room.taken += 1;
            self.effects.push(Effect::Start(Start {
                attempt: id,
                work: Arc::clone(&attempt.work),
                command: attempt.command,
                gpus: Arc::clone(&attempt.gpus),
            }));
        }
    }
}
