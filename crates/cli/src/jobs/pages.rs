//! What the REST API answers, where that is more than a view.

use std::collections::BTreeMap;

use dx_scheduler::client::{JobView, NodeView, Taken, TaskView};
use dx_scheduler::id::JobId;
use serde::{Deserialize, Serialize};

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The job's number. Of a dry run, the number that it would have.
    pub job: JobId,
    /// Whether an earlier request with the same id had taken it already.
    pub is_repeat: bool,
    /// What is odd about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What became of a submission of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllSubmitted {
    /// Each, by its name in the submission.
    pub jobs: BTreeMap<String, Taken>,
    /// What is odd about them.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Some jobs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    /// Those on this page.
    pub jobs: Vec<JobView>,
    /// Where the next page begins, if there is one.
    pub next: Option<JobId>,
    /// For waiting.
    pub version: u64,
}

/// Some tasks of a job, by index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskPage {
    /// Those on this page.
    pub tasks: Vec<TaskView>,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

/// How many tasks, or jobs, something was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// So many.
    pub changed: u64,
}

/// All nodes that run jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodePage {
    /// In the order of their numbers.
    pub nodes: Vec<NodeView>,
}
