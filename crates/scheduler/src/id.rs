//! Who is who among jobs: numbers that are given once and never again.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use dx_agents::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job. Numbers are small and consecutive: the first job of a cluster is 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// A task: one index of a job. A job that is no array has the one task 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// Its job.
    pub job: JobId,
    /// Which of it.
    pub index: u32,
}

/// An attempt: one run of a task, on one node. Numbered from 1; a number is written to the journal
/// before anything of the attempt leaves the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// Its task.
    pub task: TaskId,
    /// Which of its attempts.
    pub number: u32,
}

/// A life of the controller. Grows with each start, and with each change of leader.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

/// A life of a node's shim, which all its attempts are bound to: they end with it, and nothing that
/// another life says of them counts. A shim that outlived its lease begins another life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShimId {
    /// Its node.
    pub node: NodeId,
    /// Grows from life to life.
    pub incarnation: u64,
}

/// A text that names no job or task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: write {like}")]
pub struct InvalidId {
    /// The text.
    pub text: String,
    /// What it should be.
    pub what: &'static str,
    /// An example.
    pub like: &'static str,
}

impl JobId {
    /// Its task `index`.
    #[must_use]
    pub fn task(self, index: u32) -> TaskId {
        TaskId { job: self, index }
    }
}

impl TaskId {
    /// Its attempt `number`.
    #[must_use]
    pub fn attempt(self, number: u32) -> AttemptId {
        AttemptId { task: self, number }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `7.0`: job 7, index 0.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.index)
    }
}

/// `7.0#2`: the second attempt of 7.0.
impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.number)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let failed = |_: ParseIntError| InvalidId {
            text: text.to_owned(),
            what: "job",
            like: "a number, as `7`",
        };
        text.parse().map(Self).map_err(failed)
    }
}

/// An attempt is written `7.0#2`.
impl FromStr for AttemptId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parsed = text.split_once('#').and_then(|(task, number)| {
            let task: TaskId = task.parse().ok()?;
            Some(task.attempt(number.parse().ok()?))
        });
        parsed.ok_or_else(|| InvalidId {
            text: text.to_owned(),
            what: "attempt",
            like: "a task and a number, as `7.0#2`",
        })
    }
}

/// A task is written `7.0`; `7` is its task 0.
impl FromStr for TaskId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (job, index) = text.split_once('.').unwrap_or((text, "0"));
        match (job.parse(), index.parse()) {
            (Ok(job), Ok(index)) => Ok(JobId(job).task(index)),
            _ => Err(InvalidId {
                text: text.to_owned(),
                what: "task",
                like: "a job and an index, as `7.0`",
            }),
        }
    }
}
