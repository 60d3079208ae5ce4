//! What is known of nodes and tasks until the controller's next start: in no journal.

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::NodeId;

use super::effect::Effects;
use super::wait::WAIT_KEPT;
use crate::id::{AttemptId, JobId, TaskId};
use crate::processor::{Progress, Usage};

/// The time in which ends on a node are counted, to know how fast it works: in milliseconds. Long
/// against what an assignment takes on its way, a few milliseconds.
const BUCKET: u64 = 100;

/// Versions that fit in a millisecond: a step has one at most, and takes more than a microsecond.
const VERSIONS_PER_MS: u64 = 1024;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub(super) nodes: BTreeMap<NodeId, LiveNode>,
    pub(super) progress: BTreeMap<TaskId, (AttemptId, Progress)>,
    /// Grows with all that changes, and from life to life.
    pub(super) version: u64,
    /// When a job changed last; before this life, if it has none.
    versions: BTreeMap<JobId, u64>,
    /// The version that this life began with.
    first_version: u64,
    /// Whether something changed that is not journaled.
    pub(super) is_changed: bool,
    pub(super) tally: Tally,
    /// When an attempt that waits for jobs was heard of last.
    waits: BTreeMap<AttemptId, u64>,
    /// The same by time.
    heard_waits: BTreeSet<(u64, AttemptId)>,
}

/// What was heard and changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Reports of attempts that had ended, or are not known.
    pub late: u64,
    /// Messages of lives that are over, or of nodes that are not what they say.
    pub foreign: u64,
}

/// What is known of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveNode {
    /// It was welcomed in this life of the controller, and was not away since.
    pub is_here: bool,
    /// When it was heard of last.
    pub heard: Option<u64>,
    /// From when on its lease counts.
    pub leased: u64,
    /// Jobs that it was told of since it was welcomed.
    pub told: BTreeSet<JobId>,
    /// Attempts that it was asked to give back.
    pub retracting: BTreeSet<AttemptId>,
    pub usage: Option<(u64, Usage)>,
    /// Ends in the time before the last, and in the last.
    ends: (u64, u64, u64),
}

impl LiveNode {
    /// An attempt ended there.
    pub fn count_end(&mut self, at: u64) {
        let bucket = at / BUCKET;
        let (_, before, now) = self.turned(bucket);
        self.ends = (bucket, before, now + 1);
    }

    /// Attempts that end there in a tenth of a second.
    pub fn pace(&self, at: u64) -> u64 {
        let (_, before, now) = self.turned(at / BUCKET);
        before.max(now)
    }

    fn turned(&self, bucket: u64) -> (u64, u64, u64) {
        match bucket - self.ends.0.min(bucket) {
            0 => self.ends,
            1 => (bucket, self.ends.2, 0),
            _ => (bucket, 0, 0),
        }
    }
}

impl Live {
    /// A life of the controller begins.
    pub(super) fn begin(&mut self, at: u64, nodes: impl Iterator<Item = NodeId>) {
        let leased = LiveNode { leased: at, ..LiveNode::default() };
        self.nodes = nodes.map(|node| (node, leased.clone())).collect();
        self.version = at.saturating_mul(VERSIONS_PER_MS);
        self.first_version = self.version;
    }

    /// An attempt waits, and is heard of.
    pub(super) fn heed_wait(&mut self, attempt: AttemptId, at: u64) {
        if let Some(before) = self.waits.insert(attempt, at) {
            self.heard_waits.remove(&(before, attempt));
        }
        self.heard_waits.insert((at, attempt));
    }

    /// All that an attempt waited for is over.
    pub(super) fn forget_wait(&mut self, attempt: AttemptId) {
        if let Some(at) = self.waits.remove(&attempt) {
            self.heard_waits.remove(&(at, attempt));
        }
    }

    /// Whether something waits in this attempt, as far as is known.
    pub(super) fn is_waiting(&self, attempt: AttemptId) -> bool {
        self.waits.contains_key(&attempt)
    }

    /// When a wait is over of which nothing is heard.
    pub(super) fn next_unheard(&self) -> Option<u64> {
        self.heard_waits.first().map(|(at, _)| at.saturating_add(WAIT_KEPT))
    }

    /// A wait that is over, since nothing was heard of it for so long; it is forgotten.
    pub(super) fn unheard_wait(&mut self, at: u64) -> Option<AttemptId> {
        self.next_unheard().filter(|end| *end <= at)?;
        let (_, attempt) = self.heard_waits.pop_first()?;
        self.waits.remove(&attempt);
        Some(attempt)
    }

    /// What was heard and changed nothing.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The version of all that is shown.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version in which a job changed last.
    #[must_use]
    pub fn version_of(&self, job: JobId) -> u64 {
        self.versions.get(&job).copied().unwrap_or(self.first_version)
    }

    /// Notes what a step changed; says whether it changed anything that is shown.
    pub(super) fn note_changes(&mut self, effects: &Effects) -> bool {
        let is_changed = std::mem::take(&mut self.is_changed)
            || effects.nodes
            || !effects.touched.is_empty()
            || !effects.removed.is_empty();
        if !is_changed {
            return false;
        }
        self.version += 1;
        for job in &effects.removed {
            self.versions.remove(job);
            for node in self.nodes.values_mut() {
                node.told.remove(job);
            }
        }
        for job in &effects.touched {
            self.versions.insert(*job, self.version);
        }
        true
    }
}
