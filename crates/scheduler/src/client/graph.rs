//! What is shown of how jobs are tied to each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counts, JobState};
use crate::id::{AttemptId, JobId};
use crate::job::When;

/// The most jobs that are looked at for one question.
pub const MAX_WALK: usize = 100_000;

/// The most that is shown of what one job waits for.
pub const MAX_AFTER_SHOWN: usize = 1_000;

/// Where to walk from a job, and how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphQuery {
    /// The job.
    pub job: JobId,
    /// In which direction.
    pub toward: Toward,
    /// At most so many steps away; all there are if left out.
    pub steps: Option<u32>,
    /// Only jobs from this number on: the `next` of an earlier page.
    pub from: Option<JobId>,
    /// At most so many; [`MAX_PAGE`](super::MAX_PAGE) if left out, and never more.
    pub limit: Option<u32>,
}

/// A direction in a graph of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Toward {
    /// What it waits for, and who called it.
    Up,
    /// What waits for it, and what it called.
    Down,
    /// Whatever is connected with it.
    #[default]
    Both,
}

/// Jobs that are tied to each other, by number: what a job waits for has a lower one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GraphView {
    /// The jobs.
    pub jobs: Vec<TiedJob>,
    /// What `from` of the next page is; none on the last.
    pub next: Option<JobId>,
    /// Whether there are more than are looked at for one question: ask from one of the others.
    pub is_cut: bool,
}

/// A job and what it is tied to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TiedJob {
    /// Its number.
    pub id: JobId,
    /// Its name.
    pub name: Option<String>,
    /// How it stands.
    pub state: JobState,
    /// How its tasks stand.
    pub counts: Counts,
    /// How many there are.
    pub tasks: u64,
    /// The task that submitted it, if it was one.
    pub caller: Option<CallerView>,
    /// What it waits for, or waited for; at most 1000 of it.
    pub after: Vec<AfterView>,
    /// Of how many jobs that is.
    pub after_count: u64,
    /// Jobs by whose end tasks of it were aborted or skipped, and where that came from; at most 16.
    pub stopped: Vec<StoppedView>,
}

/// A task that submitted a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// Its job.
    pub job: JobId,
    /// Which of it.
    pub index: u32,
    /// Which attempt of that.
    pub attempt: u32,
}

/// A job that another waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AfterView {
    /// Its number.
    pub job: JobId,
    /// For which end.
    pub when: When,
    /// Whether index by index.
    pub each: bool,
}

/// Why tasks never ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedView {
    /// By the end of this job.
    pub via: JobId,
    /// Which came from the end of this one.
    pub root: JobId,
    /// How many tasks.
    pub tasks: u64,
}

impl From<AttemptId> for CallerView {
    fn from(it: AttemptId) -> Self {
        Self { job: it.task.job, index: it.task.index, attempt: it.number }
    }
}
