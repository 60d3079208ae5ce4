//! The attempts that a runner holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::end::Finish;
use crate::id::{AttemptId, JobId};
use crate::job::Resources;

/// An attempt that is held.
pub struct Held {
    pub stage: Stage,
    /// What it needs.
    pub need: Arc<Resources>,
    /// The GPUs that it was given.
    pub gpus: Vec<u32>,
    /// Whose its processors and gpus are.
    pub slot: Slot,
    /// How often it was blocked, as far as was said.
    pub round: u32,
    /// Somebody wants its end; and at once.
    pub kill: Option<bool>,
    /// The controller does not have it: it is ended and forgotten, and not spoken of.
    pub is_doomed: bool,
}

/// Whose processors and gpus are those of an attempt that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Its own.
    Own,
    /// It waits for jobs: they are for others.
    Lent,
    /// They are to be its own again; its place among all for which this is so.
    Wanted(u64),
}

/// How far it is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// It waits for room, at this place.
    Queued(u64),
    /// It waited at this place. The shim has it, or is about to, and begins it in the room of
    /// another of its job.
    Ahead(u64),
    /// The shim has it, or is about to.
    Given,
    /// Its process runs.
    Running,
    /// Nothing of it is left. The shim says how, if it has not yet.
    Ended(Option<Box<Finish>>),
}

impl Held {
    /// Whether it takes room.
    pub fn has_room(&self) -> bool {
        matches!(self.stage, Stage::Given | Stage::Running)
    }
}

/// All of them, and the order of those that wait.
#[derive(Default)]
pub struct Holdings {
    all: BTreeMap<AttemptId, Held>,
    queue: BTreeMap<u64, AttemptId>,
    /// How many of those that wait need this.
    needs: BTreeMap<Arc<Resources>, usize>,
    /// How many of each job have room.
    with_room: BTreeMap<JobId, u32>,
    /// Those whose slots are for others.
    lent: BTreeSet<AttemptId>,
    /// Those whose slots are to be their own again.
    wanting: BTreeMap<u64, AttemptId>,
    next: u64,
}

impl Holdings {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (AttemptId, &Held)> {
        self.all.iter().map(|(attempt, held)| (*attempt, held))
    }

    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.all.contains_key(&attempt)
    }

    pub fn get(&self, attempt: AttemptId) -> Option<&Held> {
        self.all.get(&attempt)
    }

    pub fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Held> {
        self.all.get_mut(&attempt)
    }

    /// Whether anything of a job is held.
    pub fn has_any_of(&self, job: JobId) -> bool {
        let first = job.task(0).attempt(0);
        self.all.range(first..).next().is_some_and(|(attempt, _)| attempt.task.job == job)
    }

    /// Holds an attempt that is not held yet: `stage` says how, and `Queued` that it is the last.
    pub fn add(&mut self, attempt: AttemptId, need: Arc<Resources>, stage: Stage) {
        let stage = match stage {
            Stage::Queued(_) => {
                self.next += 1;
                self.queue.insert(self.next, attempt);
                *self.needs.entry(Arc::clone(&need)).or_default() += 1;
                Stage::Queued(self.next)
            }
            stage => stage,
        };
        let (gpus, slot) = (Vec::new(), Slot::Own);
        let held = Held { stage, need, gpus, slot, round: 0, kill: None, is_doomed: false };
        if held.has_room() {
            self.count_room(attempt.task.job, 1);
        }
        self.all.insert(attempt, held);
    }

    pub fn remove(&mut self, attempt: AttemptId) -> Option<Held> {
        let held = self.all.remove(&attempt)?;
        if held.has_room() {
            self.count_room(attempt.task.job, -1);
        }
        self.unqueue(&held.stage, &held.need);
        self.leave_slot(attempt, held.slot);
        Some(held)
    }

    /// Whose the slot of an attempt is from now on; `Wanted` says that it is the last to get it.
    pub fn set_slot(&mut self, attempt: AttemptId, slot: Slot) {
        let Some(held) = self.all.get_mut(&attempt) else { return };
        let slot = match slot {
            Slot::Wanted(_) => {
                self.next += 1;
                self.wanting.insert(self.next, attempt);
                Slot::Wanted(self.next)
            }
            Slot::Lent => {
                self.lent.insert(attempt);
                Slot::Lent
            }
            Slot::Own => Slot::Own,
        };
        let before = std::mem::replace(&mut held.slot, slot);
        if before != slot {
            self.leave_slot(attempt, before);
        }
    }

    /// Those whose slots are to be their own again, in their order.
    pub fn wanting(&self) -> Vec<AttemptId> {
        self.wanting.values().copied().collect()
    }

    /// Whether anybody's slot is to be his own again.
    pub fn has_wanting(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// Whether the slot of any of a job is for others.
    pub fn has_lent(&self, job: JobId) -> bool {
        let next = self.lent.range(job.task(0).attempt(0)..).next();
        next.is_some_and(|attempt| attempt.task.job == job)
    }

    fn leave_slot(&mut self, attempt: AttemptId, slot: Slot) {
        match slot {
            Slot::Own => {}
            Slot::Lent => drop(self.lent.remove(&attempt)),
            Slot::Wanted(place) => drop(self.wanting.remove(&place)),
        }
    }

    /// It is at another stage now. Gives back the one before.
    pub fn set(&mut self, attempt: AttemptId, stage: Stage) -> Option<Stage> {
        let held = self.all.get_mut(&attempt)?;
        let had_room = i64::from(held.has_room());
        let (before, need) = (std::mem::replace(&mut held.stage, stage), Arc::clone(&held.need));
        let more = i64::from(held.has_room()) - had_room;
        self.count_room(attempt.task.job, more);
        self.unqueue(&before, &need);
        Some(before)
    }

    /// The first that waits.
    pub fn first(&self) -> Option<(AttemptId, &Held)> {
        let (_, attempt) = self.queue.first_key_value()?;
        Some((*attempt, &self.all[attempt]))
    }

    /// Those that wait behind the first, in their order; none where all need the same, which is
    /// the rule: then nobody fits beside the first.
    pub fn behind_first(&self) -> impl Iterator<Item = (AttemptId, &Held)> {
        let behind = (self.needs.len() > 1).then(|| self.queue.values().skip(1));
        behind.into_iter().flatten().map(|attempt| (*attempt, &self.all[attempt]))
    }

    /// It was ahead, and waits for room of its own again, at the place that it had.
    pub fn requeue(&mut self, attempt: AttemptId) {
        if let Some(held) = self.all.get_mut(&attempt)
            && let Stage::Ahead(place) = held.stage
        {
            held.stage = Stage::Queued(place);
            self.queue.insert(place, attempt);
            *self.needs.entry(Arc::clone(&held.need)).or_default() += 1;
        }
    }

    /// The first that waits is ahead from now on.
    pub fn send_first_ahead(&mut self) {
        let Some((&place, &attempt)) = self.queue.first_key_value() else { return };
        self.set(attempt, Stage::Ahead(place));
    }

    /// How many of a job have room.
    pub fn with_room(&self, job: JobId) -> u32 {
        self.with_room.get(&job).copied().unwrap_or(0)
    }

    fn count_room(&mut self, job: JobId, more: i64) {
        if more == 0 {
            return;
        }
        let count = self.with_room.entry(job).or_default();
        *count = u32::try_from(i64::from(*count) + more).expect("who leaves a room had one");
        if *count == 0 {
            self.with_room.remove(&job);
        }
    }

    /// All that wait are let go: which, in their order.
    pub fn let_queue_go(&mut self) -> Vec<AttemptId> {
        let queue: Vec<AttemptId> = std::mem::take(&mut self.queue).into_values().collect();
        for attempt in &queue {
            self.all.remove(attempt);
        }
        self.needs.clear();
        queue
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.queue.clear();
        self.needs.clear();
        self.with_room.clear();
        self.lent.clear();
        self.wanting.clear();
    }

    fn unqueue(&mut self, stage: &Stage, need: &Arc<Resources>) {
        if let Stage::Queued(place) = stage
            && self.queue.remove(place).is_some()
            && let Some(count) = self.needs.get_mut(need)
        {
            *count -= 1;
            if *count == 0 {
                self.needs.remove(need);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(held: &mut Holdings, index: u32, gpus: u32) -> AttemptId {
        let attempt = JobId(1).task(index).attempt(1);
        held.add(attempt, Arc::new(Resources { gpus, ..Resources::default() }), Stage::Queued(0));
        attempt
    }

    fn behind(held: &Holdings) -> Vec<AttemptId> {
        held.behind_first().map(|(attempt, _)| attempt).collect()
    }

    #[test]
    fn nobody_is_looked_at_behind_the_first_while_all_that_wait_need_the_same() {
        for leave in [
            |held: &mut Holdings, other| drop(held.remove(other)),
            |held: &mut Holdings, other| drop(held.set(other, Stage::Given)),
        ] {
            let mut held = Holdings::default();
            let [first, second] = [0, 1].map(|index| add(&mut held, index, 0));
            assert_eq!(held.first().map(|(attempt, _)| attempt), Some(first));
            assert_eq!(behind(&held), []);
            let other = add(&mut held, 2, 1);
            assert_eq!(behind(&held), [second, other]);
            leave(&mut held, other);
            assert_eq!(behind(&held), []);
            let others = [3, 4].map(|index| add(&mut held, index, 1));
            held.set(others[0], Stage::Given);
            assert_eq!(behind(&held), [second, others[1]]);
            held.let_queue_go();
            add(&mut held, 5, 0);
            assert_eq!(behind(&held), []);
        }
    }

    #[test]
    fn those_of_a_job_that_have_room_are_counted() {
        let mut held = Holdings::default();
        let all = [0, 1, 2].map(|index| add(&mut held, index, 0));
        assert_eq!(held.with_room(JobId(1)), 0);
        for attempt in all {
            held.set(attempt, Stage::Given);
        }
        held.set(all[0], Stage::Running);
        assert_eq!((held.with_room(JobId(1)), held.with_room(JobId(2))), (3, 0));
        held.set(all[0], Stage::Ended(None));
        held.remove(all[0]);
        held.remove(all[1]);
        assert_eq!(held.with_room(JobId(1)), 1);
        held.clear();
        assert_eq!(held.with_room(JobId(1)), 0);
    }
}
