//! Those who wait for changes.

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::Instant;
use dx_agents::id::ReplyTo;

use crate::client::WATCH_FOR;
use crate::id::JobId;

/// The most that wait at a time. Beyond it they are answered at once with what is so.
pub const MAX_WATCHES: usize = 4_096;

/// Those who wait, for one job or for everything.
#[derive(Default)]
pub struct Watches {
    waiting: BTreeMap<u64, Watch>,
    /// Those of a job, and those of everything.
    of: BTreeMap<Option<JobId>, BTreeSet<u64>>,
    /// Those for whom something changed.
    due: BTreeSet<u64>,
    next: u64,
}

struct Watch {
    to: ReplyTo,
    job: Option<JobId>,
    until: Instant,
}

impl Watches {
    /// Somebody waits; false if too many do.
    pub fn add(&mut self, to: ReplyTo, job: Option<JobId>, now: Instant) -> bool {
        if self.waiting.len() >= MAX_WATCHES {
            return false;
        }
        self.next += 1;
        self.waiting.insert(self.next, Watch { to, job, until: now + WATCH_FOR });
        self.of.entry(job).or_default().insert(self.next);
        true
    }

    /// These jobs changed, or something else did.
    pub fn note(&mut self, jobs: &BTreeSet<JobId>) {
        let keys = jobs.iter().copied().map(Some).chain([None]);
        for key in keys {
            self.due.extend(self.of.get(&key).into_iter().flatten());
        }
    }

    /// Who is to be answered, because something changed or they waited long enough.
    pub fn due(&mut self, now: Instant) -> Vec<(ReplyTo, Option<JobId>)> {
        // All wait equally long, so the first to have begun are the first to have waited enough.
        let late = self.waiting.iter().take_while(|(_, watch)| watch.until <= now);
        self.due.extend(late.map(|(number, _)| *number));
        let due = std::mem::take(&mut self.due);
        due.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// All who wait for a job: they are to be answered now.
    pub fn take(&mut self, job: JobId) -> Vec<ReplyTo> {
        let numbers = self.of.get(&Some(job)).cloned().unwrap_or_default();
        numbers.into_iter().filter_map(|number| Some(self.remove(number)?.0)).collect()
    }

    fn remove(&mut self, number: u64) -> Option<(ReplyTo, Option<JobId>)> {
        self.due.remove(&number);
        let watch = self.waiting.remove(&number)?;
        if let Some(others) = self.of.get_mut(&watch.job) {
            others.remove(&number);
            if others.is_empty() {
                self.of.remove(&watch.job);
            }
        }
        Some((watch.to, watch.job))
    }

    /// When the first has waited long enough.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.values().next().map(|watch| watch.until)
    }
}
