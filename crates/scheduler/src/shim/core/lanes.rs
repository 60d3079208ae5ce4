//! Rooms of a job that pass from those of its attempts that have ended to those that follow.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{AttemptId, JobId};

/// The lanes of all jobs that have something under way, or waiting. See the [module](self).
#[derive(Debug, Default)]
pub struct Lanes {
    all: BTreeMap<JobId, Lane>,
    /// Attempts that wait, in all.
    waiting: usize,
    /// How many of each job have waited and have room since what happened was told last.
    passed: BTreeMap<JobId, usize>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Attempts that have room.
    under_way: u32,
    /// How many may be, before another begins.
    wide: u32,
    waiting: VecDeque<AttemptId>,
}

impl Lanes {
    /// It has room.
    pub fn begin(&mut self, id: AttemptId) {
        self.all.entry(id.task.job).or_default().under_way += 1;
    }

    /// It waits for room, behind those that do.
    pub fn wait(&mut self, id: AttemptId) {
        self.all.entry(id.task.job).or_default().waiting.push_back(id);
        self.waiting += 1;
    }

    /// So many of a job may be under way before another begins.
    pub fn widen(&mut self, job: JobId, wide: u32) {
        if let Some(lane) = self.all.get_mut(&job) {
            lane.wide = wide;
        }
    }

    /// The next of a job, if there is room for it, which it has then.
    pub fn next(&mut self, job: JobId) -> Option<AttemptId> {
        let lane = self.all.get_mut(&job).filter(|lane| lane.under_way < lane.wide)?;
        let id = lane.waiting.pop_front()?;
        lane.under_way += 1;
        self.waiting -= 1;
        *self.passed.entry(job).or_default() += 1;
        Some(id)
    }

    /// One that had room has ended.
    pub fn end(&mut self, id: AttemptId) {
        if let Some(lane) = self.all.get_mut(&id.task.job) {
            lane.under_way -= 1;
        }
        self.tidy(id.task.job);
    }

    /// It does not wait any more. Whether it did.
    pub fn withdraw(&mut self, id: AttemptId) -> bool {
        let Some(lane) = self.all.get_mut(&id.task.job) else { return false };
        let before = lane.waiting.len();
        lane.waiting.retain(|waiting| *waiting != id);
        let gone = before - lane.waiting.len();
        self.waiting -= gone;
        self.tidy(id.task.job);
        gone > 0
    }

    /// Nothing waits any more. What did.
    pub fn take(&mut self) -> Vec<AttemptId> {
        self.waiting = 0;
        let waiting = self.all.values_mut().flat_map(|lane| lane.waiting.drain(..)).collect();
        self.all.retain(|_, lane| lane.under_way > 0);
        waiting
    }

    /// Whether anything waits.
    pub fn has_any(&self) -> bool {
        self.waiting > 0
    }

    /// Whether anything of a job waits.
    pub fn has(&self, job: JobId) -> bool {
        self.all.get(&job).is_some_and(|lane| !lane.waiting.is_empty())
    }

    /// Whether less of a job waits than was given room since what happened was told last.
    pub fn run_low(&self) -> bool {
        let waiting = |job| self.all.get(job).map_or(0, |lane| lane.waiting.len());
        self.passed.iter().any(|(job, passed)| waiting(job) < *passed)
    }

    /// What happened is told.
    pub fn told(&mut self) {
        self.passed.clear();
    }

    fn tidy(&mut self, job: JobId) {
        let is_empty = |lane: &Lane| lane.under_way == 0 && lane.waiting.is_empty();
        if self.all.get(&job).is_some_and(is_empty) {
            self.all.remove(&job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_jobs_the_one_with_little_ahead_runs_low_by_itself() {
        let mut lanes = Lanes::default();
        for (job, waiting) in [(JobId(1), 100), (JobId(2), 3)] {
            (0..waiting).for_each(|index| lanes.wait(job.task(index).attempt(1)));
            lanes.widen(job, 10);
        }
        lanes.next(JobId(2));
        assert!(!lanes.run_low());
        lanes.next(JobId(2));
        assert!(lanes.run_low(), "one waits, and two have begun");
        lanes.told();
        assert!(!lanes.run_low());
    }
}
