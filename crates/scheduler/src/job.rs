//! What a user asks for: a job, as a job file, the REST API and the command line describe it.
//!
//! A job travels and is stored as JSON, so that nodes of different versions, and journals of
//! earlier ones, are understood.

mod after;
mod array;
mod check;
mod constraint;
mod order;
mod output;
mod resources;
mod retry;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use after::{Dependency, InvalidDependency, JobRef, MAX_AFTER, When};
pub use array::ITEM;
pub use check::Problem;
pub use constraint::{Constraint, Operator};
pub use order::MAX_JOBS;
pub(crate) use order::{in_order, prefix};
pub use output::{Capture, Output};
pub use resources::{Cpus, Resources};
pub use retry::{Retry, RetryOn};
pub use units::{Size, Span};

/// The longest job that is taken, as JSON, in bytes.
pub const MAX_SPEC: usize = 1 << 20;

/// The most commands of one job. A guess: what has more is a script.
pub const MAX_COMMANDS: usize = 10_000;

/// The most tasks of one job.
pub const MAX_TASKS: u32 = 10_000_000;

/// A job. What is left out has its default; an unknown key is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// For people. Need not be unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Programs that run one after the other, up to the first that fails.
    pub commands: Vec<Command>,
    /// The tasks of an array, as `0-99` or `1,4,7-9`: each runs all commands, with its index in
    /// `DX_TASK_INDEX`. Without it there is one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// A task for each of these, which it finds, literally, in `DX_ITEM`. With `array`, only for
    /// those of these indices, counted from 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// A task for each combination of one value of each of these variables, which it has in its
    /// environment, literally. The last one, by name, changes with each index. With `array`, only
    /// for these indices.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, Vec<String>>,
    /// The environment, literally: nothing in it is expanded. Tasks have this, `DX_*`, and, from
    /// the node, `PATH`, `HOME`, `USER`, `LANG` and `TMPDIR` where they do not set these.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The working directory, which must exist on the node. Without it, a fresh one of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// What the first command reads. Without it, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Stdin>,
    /// Goes on with the next command when one fails; the first failure decides.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
    /// What becomes of what tasks print.
    pub output: Output,
    /// What each task needs.
    pub resources: Resources,
    /// What a node must be like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// How tasks are placed on nodes.
    pub placement: Placement,
    /// By which jobs can be found, as `--label team=blue`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Higher goes first; equal ones in the order of their submission.
    pub priority: i32,
    /// How long an attempt may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How long a task may wait for its first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Span>,
    /// When nothing of it may run any more, counted from its submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// When a task that failed runs again.
    pub retry: Retry,
    /// How it is stopped.
    pub kill: Kill,
    /// Waits for `dx job release` before anything of it runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// The most tasks of it that run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// So many tasks may fail; with one more, those that have not started are aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fails: Option<u32>,
    /// Runs when these have succeeded: jobs by number, or by name in one submission of several. A job
    /// of which something failed aborts it, one that was skipped skips it. With `:each` behind it,
    /// index by index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_ok: Vec<Dependency>,
    /// Runs when something of each of these has failed; else it is skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_fail: Vec<Dependency>,
    /// Runs when these have ended, however that was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_any: Vec<Dependency>,
    /// What becomes of it when the task that submitted it has ended, if a task did.
    #[serde(skip_serializing_if = "OnCallerEnd::is_go_on")]
    pub on_caller_end: OnCallerEnd,
    /// A second submission of the same job with the same id is the same job; of another job, an
    /// error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Several jobs, by the names that they have for each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// The jobs. One without a `name` has the one that it has here.
    pub job: BTreeMap<String, JobSpec>,
}

/// A program with its arguments. Never a shell's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, looked up in `PATH` if it has no slash, and its arguments.
    pub exec: Vec<String>,
}

/// What a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stdin {
    /// This text.
    Text(String),
    /// A file of the node.
    File(PathBuf),
}

/// How tasks are placed on nodes that have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On the node with the least room left: keeps others free for large tasks.
    Pack,
    /// On the node with the most room left.
    #[default]
    Spread,
}

/// What becomes of a job when the task that submitted it has ended by itself, by its timeout or
/// otherwise, and does not run again. With a task that is cancelled, its jobs are, whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCallerEnd {
    /// It goes on.
    #[default]
    GoOn,
    /// It is cancelled, with all that it has submitted itself.
    Cancel,
}

impl OnCallerEnd {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_go_on(&self) -> bool {
        *self == Self::GoOn
    }
}

/// How an attempt is stopped: the signal to its process group, then SIGKILL to all that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kill {
    /// As `TERM` or `INT`.
    pub signal: String,
    /// How long it may take to end by itself.
    pub grace: Span,
}

impl Default for Kill {
    fn default() -> Self {
        Self { signal: "TERM".to_owned(), grace: Span::seconds(10) }
    }
}
