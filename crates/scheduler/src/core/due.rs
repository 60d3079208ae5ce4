//! What comes with time.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use crate::end::TaskState;
use crate::id::JobId;

/// The times at which tasks may run again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoffs {
    by_index: BTreeMap<u32, u64>,
    times: BTreeSet<(u64, u32)>,
}

impl Backoffs {
    /// A task may run again from `at` on.
    pub fn set(&mut self, index: u32, at: u64) {
        self.clear(index);
        self.by_index.insert(index, at);
        self.times.insert((at, index));
    }

    /// It has no such time.
    pub fn clear(&mut self, index: u32) {
        if let Some(at) = self.by_index.remove(&index) {
            self.times.remove(&(at, index));
        }
    }

    /// Neither has any from `first` to `last`.
    pub fn clear_range(&mut self, first: u32, last: u32) {
        while let Some((&index, _)) = self.by_index.range(first..=last).next() {
            self.clear(index);
        }
    }

    /// When a task may run again.
    pub fn get(&self, index: u32) -> Option<u64> {
        self.by_index.get(&index).copied()
    }

    /// The first time.
    pub fn first(&self) -> Option<u64> {
        self.times.first().map(|(at, _)| *at)
    }

    /// Those that may run at `at`.
    pub fn due(&self, at: u64) -> impl Iterator<Item = u32> + '_ {
        self.times.iter().take_while(move |(due, _)| *due <= at).map(|(_, index)| *index)
    }

    /// All, by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.by_index.iter().map(|(index, at)| (*index, *at))
    }
}

/// When something is to be looked at again, by job. Derived from the jobs, so that it is in no
/// snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dues {
    times: BTreeSet<(u64, JobId)>,
    by_job: BTreeMap<JobId, u64>,
}

impl Dues {
    /// A job changed.
    pub fn refresh(&mut self, job: &Job) {
        let wanted = of(job);
        let now = self.by_job.get(&job.id).copied();
        if now == wanted {
            return;
        }
        self.remove(job.id);
        if let Some(at) = wanted {
            self.times.insert((at, job.id));
            self.by_job.insert(job.id, at);
        }
    }

    /// A job is gone.
    pub fn remove(&mut self, job: JobId) {
        if let Some(at) = self.by_job.remove(&job) {
            self.times.remove(&(at, job));
        }
    }

    /// The first time at which something is due.
    pub fn next(&self) -> Option<u64> {
        self.times.first().map(|(at, _)| *at)
    }

    /// The first job for which something is due at `at`.
    pub fn due(&self, at: u64) -> Option<JobId> {
        self.times.first().filter(|(due, _)| *due <= at).map(|(_, job)| *job)
    }
}

/// When something of a job is due.
fn of(job: &Job) -> Option<u64> {
    [job.due.first(), queue_timeout(job), deadline(job)].into_iter().flatten().min()
}

/// When tasks of it have waited for too long for a first attempt, if any waits for one.
pub fn queue_timeout(job: &Job) -> Option<u64> {
    let span = job.spec.queue_timeout?;
    let queued = job.set(TaskState::Queued);
    let mut fresh = job.fresh.ranges();
    let waits = fresh.any(|(first, last)| queued.within(first, last).next().is_some());
    waits.then(|| job.opened.max(job.ties.freed).saturating_add(span.millis()))
}

/// When its deadline passes, if anything of it may still run, or does and was not told to end.
pub fn deadline(job: &Job) -> Option<u64> {
    let span = job.spec.deadline?;
    let waits = job.count_where(|state| !state.is_ended() && !state.has_attempt()) > 0;
    let runs = job.open() > job.doomed;
    (waits || runs).then(|| job.opened.saturating_add(span.millis()))
}
