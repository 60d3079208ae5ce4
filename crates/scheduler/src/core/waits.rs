//! Attempts that wait for jobs, and who waits for a job.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AttemptId, JobId};

/// How an open attempt that has waited for jobs stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wait {
    /// How often it was blocked.
    pub round: u32,
    pub stage: Stage,
}

/// How far a wait is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Stage {
    /// It waits for these, of which none has ended since; never for none.
    Blocked(BTreeSet<JobId>),
    /// All have ended: it is to have its room again.
    Returning,
    /// It has it.
    Over,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits {
    of: BTreeMap<AttemptId, Wait>,
    on: BTreeMap<JobId, BTreeSet<AttemptId>>,
}

impl Waits {
    /// How an attempt stands, if it has waited.
    pub fn get(&self, attempt: AttemptId) -> Option<&Wait> {
        self.of.get(&attempt)
    }

    /// What an attempt waits for, if it is blocked.
    pub fn blocked_on(&self, attempt: AttemptId) -> Option<&BTreeSet<JobId>> {
        match &self.of.get(&attempt)?.stage {
            Stage::Blocked(on) => Some(on),
            Stage::Returning | Stage::Over => None,
        }
    }

    /// All, by attempt.
    pub fn iter(&self) -> impl Iterator<Item = (AttemptId, &Wait)> {
        self.of.iter().map(|(attempt, wait)| (*attempt, wait))
    }

    /// What attempts of a job wait for that are blocked.
    pub fn of_job(&self, job: JobId) -> impl Iterator<Item = (AttemptId, &BTreeSet<JobId>)> {
        let all = job.task(0).attempt(0)..=job.task(u32::MAX).attempt(u32::MAX);
        self.of.range(all).filter_map(|(attempt, wait)| match &wait.stage {
            Stage::Blocked(on) => Some((*attempt, on)),
            Stage::Returning | Stage::Over => None,
        })
    }

    /// Who waits for a job.
    pub fn on(&self, job: JobId) -> Vec<AttemptId> {
        self.on.get(&job).into_iter().flatten().copied().collect()
    }

    /// An attempt stands so from now on.
    pub fn put(&mut self, attempt: AttemptId, wait: Wait) {
        self.forget(attempt);
        if let Stage::Blocked(on) = &wait.stage {
            for job in on {
                self.on.entry(*job).or_default().insert(attempt);
            }
        }
        self.of.insert(attempt, wait);
    }

    /// It has ended.
    pub fn forget(&mut self, attempt: AttemptId) {
        let Some(Wait { stage: Stage::Blocked(on), .. }) = self.of.remove(&attempt) else { return };
        for job in on {
            if let Some(set) = self.on.get_mut(&job) {
                set.remove(&attempt);
                if set.is_empty() {
                    self.on.remove(&job);
                }
            }
        }
    }
}
