//! What is shown of jobs, tasks, attempts and nodes. Times are milliseconds since the Unix epoch.

use std::collections::BTreeMap;

use dx_agents::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::end::{AttemptRecord, TaskState};
use crate::id::JobId;
use crate::job::Resources;
use crate::processor::{Certainty, Progress, Usage};

/// How many tasks are in each state; none is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Counts(pub BTreeMap<TaskState, u64>);

/// How a job stands: it follows from its tasks' states, and is stored nowhere.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing of it has run yet.
    Waiting,
    /// All that is left of it is held.
    Held,
    /// Something of it runs, or has and will.
    Running,
    /// All tasks succeeded or were skipped.
    Succeeded,
    /// All have ended, and some not as they were to.
    Failed,
    /// All have ended, and some because somebody cancelled them.
    Cancelled,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// Its name.
    pub name: Option<String>,
    /// The first command's words, shortened to 200 characters.
    pub command: String,
    /// How it stands.
    pub state: JobState,
    /// The same in the two words of the shell system.
    pub pair: Pair,
    /// How its tasks stand.
    pub counts: Counts,
    /// How many there are.
    pub tasks: u64,
    /// Who submitted it.
    pub by: String,
    /// The id with which it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its priority.
    pub priority: i32,
    /// When it was submitted.
    pub submitted: u64,
    /// When the first attempt started.
    pub started: Option<u64>,
    /// When the last task ended.
    pub ended: Option<u64>,
    /// The version of its last change.
    pub version: u64,
    /// The exit status that a command line should pass on, once it has ended: that of its only
    /// task (128 + n for signal n), or 0 or 1 for several.
    pub exit: Option<i32>,
    /// How far the tasks that run say they are, by index; at most 16.
    pub progress: BTreeMap<u32, Progress>,
}

/// The shell system's pair of words for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Whether a process of it may live.
    pub state: Motion,
    /// How it went.
    pub status: Verdict,
}

/// Whether something moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// It does.
    Running,
    /// It does not, or not yet.
    Stopped,
}

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Well.
    Good,
    /// Not well.
    Error,
    /// It is not over.
    Unknown,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its job.
    pub job: JobId,
    /// Its index.
    pub index: u32,
    /// What is its own in its environment: its item as `DX_ITEM`, or its value of each axis of the
    /// matrix, at most 16 of them. A value longer than 200 characters is cut, and ends in `…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// How it stands.
    pub state: TaskState,
    /// Why, in a line, if it does not run and has not succeeded.
    pub reason: Option<String>,
    /// When it may run next, if it waits for a time.
    pub due: Option<u64>,
    /// How far it says it is.
    pub progress: Option<Progress>,
    /// Its attempts, the last 16 of them.
    pub attempts: Vec<AttemptView>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// What is remembered of it.
    #[serde(flatten)]
    pub record: AttemptRecord,
    /// The name of its node.
    pub node_name: String,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The task as it is.
    pub task: TaskView,
    /// What happened, in its order.
    pub steps: Vec<Step>,
    /// Why it does not run, if it neither runs nor has ended; the most telling first.
    pub causes: Vec<Cause>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When.
    pub at: u64,
    /// What, for people.
    pub what: String,
}

/// Why a task does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// A word for programs, as `no_node_with_label`.
    pub code: String,
    /// What, for people.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Whether a job is still to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// Whether it is.
    pub is_valid: bool,
    /// Why it left the queue, if it has.
    pub removed: Option<Removal>,
}

/// Why something left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// It waited or ran for too long.
    TimedOut,
    /// It succeeded.
    Completed,
    /// It failed, was cancelled, or cannot run any more.
    Failed,
    /// It was executed as often as it may be.
    TooManyExecutions,
}

/// How a node stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It has not been heard of in this life of the controller.
    Unknown,
    /// It takes work.
    Ready,
    /// It is silent, and its lease runs.
    Silent,
    /// Its lease is over: what ran there is lost.
    Lost,
    /// It takes no more work, and some of it still runs.
    Draining,
    /// It takes no work.
    Drained,
    /// It takes no work for a while, because its faults would eat the queue.
    Quarantined,
}

/// A node with a runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// Its number.
    #[schemars(with = "u32")]
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: NodeState,
    /// Why, if it is not ready.
    pub reason: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it offers.
    pub capacity: Resources,
    /// What of it is in use by tasks.
    pub used: Resources,
    /// Attempts that are assigned to it and have not ended.
    pub attempts: u64,
    /// The life of its shim.
    pub shim: Option<u64>,
    /// How surely it kills.
    pub kill: Option<Certainty>,
    /// Whether it enforces memory.
    pub memory_enforced: Option<bool>,
    /// When it was heard of last.
    pub heard: Option<u64>,
    /// How much of it is in use, as it said last, and when that was.
    pub usage: Option<(u64, Usage)>,
    /// When its quarantine ends.
    pub quarantined_until: Option<u64>,
    /// Faults that were its own, since it was last used again.
    pub faults: u32,
}
