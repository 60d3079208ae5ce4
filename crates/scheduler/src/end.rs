//! How attempts and tasks end.

use dx_agents::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an attempt ended. It is final: nothing that is heard later changes it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All its commands exited with 0.
    Succeeded,
    /// A command exited with another code, died of a signal that nobody here sent, or could not be
    /// started.
    Failed,
    /// It ran longer than its `timeout`, and was killed.
    TimedOut,
    /// The kernel killed it because its memory was used up.
    Oom,
    /// Somebody cancelled it.
    Cancelled,
    /// Nobody can say how it ended: its shim died, or was not heard of before its lease ended.
    Lost,
}

/// What a process came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
}

/// Whose fault it is that a command could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// That of the job, as a program that does not exist: it counts as an attempt.
    Job,
    /// That of the node, as a full disk: it counts against the job's budget for faults of nodes,
    /// and against the node.
    Node,
}

/// A command that could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotStarted {
    /// Whose fault that is.
    pub fault: Fault,
    /// The system's number for it, or 0.
    pub errno: i32,
    /// What failed, to what and why, for people.
    pub reason: String,
}

/// What a shim has to say of an attempt that ended. Times are the shim's own: nanoseconds of its
/// machine's `CLOCK_BOOTTIME`, of which only differences mean something elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finish {
    /// How it ended.
    pub end: End,
    /// The number of the command that decided it, from 0.
    pub command: u32,
    /// What its process came to, if there was one.
    pub exit: Option<Exit>,
    /// Why there was none.
    pub not_started: Option<NotStarted>,
    /// Whether it ended by itself after it was asked to, before it was killed.
    pub yielded: bool,
    /// Whether something that it started kept its output open after its own end, and was killed.
    pub detached: bool,
    /// How long it ran, in nanoseconds, from the start of its first command until nothing of it was
    /// left.
    pub ran: u64,
    /// Processor time of it and all its descendants, in nanoseconds.
    pub cpu: u64,
    /// The most memory that it had, in bytes: all its processes together, with what the kernel kept
    /// of their files, where the kernel counts that for each attempt (memory controller, Linux
    /// 6.12); else the most that one process had resident, or the shim if it had more.
    pub max_rss: u64,
    /// Bytes that it printed, and how many of them are kept.
    pub printed: u64,
    /// See `printed`.
    pub kept: u64,
}

/// How a task stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// For others to end.
    Waiting,
    /// For somebody to release it.
    Held,
    /// For a node with room.
    Queued,
    /// For the time of its next attempt.
    Backoff,
    /// A node is chosen; the attempt has its number. Its runner may not have heard of it yet.
    Assigned,
    /// Its runner has given it to the shim.
    Starting,
    /// Its process lives.
    Running,
    /// A parent that waits for its children, and has given up its slot.
    Blocked,
    /// See [`End::Succeeded`].
    Succeeded,
    /// See [`End::Failed`].
    Failed,
    /// See [`End::TimedOut`].
    TimedOut,
    /// See [`End::Oom`].
    Oom,
    /// See [`End::Cancelled`]; also without an attempt.
    Cancelled,
    /// See [`End::Lost`].
    Lost,
    /// It never ran, because something that it depends on did not succeed, or too many of its
    /// siblings failed.
    Aborted,
    /// It never ran, because its `queue_timeout` or `deadline` passed before.
    Expired,
    /// It never ran, because it was only for the case that did not occur. No failure.
    Skipped,
}

impl TaskState {
    /// Whether it is over. Only a retry opens it again.
    #[must_use]
    pub fn is_ended(self) -> bool {
        self >= Self::Succeeded
    }

    /// Whether it has an attempt that has not ended.
    #[must_use]
    pub fn has_attempt(self) -> bool {
        (Self::Assigned..=Self::Blocked).contains(&self)
    }

    /// Whether it ended in another way than it was to.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.is_ended() && !matches!(self, Self::Succeeded | Self::Skipped)
    }
}

impl From<End> for TaskState {
    fn from(end: End) -> Self {
        match end {
            End::Succeeded => Self::Succeeded,
            End::Failed => Self::Failed,
            End::TimedOut => Self::TimedOut,
            End::Oom => Self::Oom,
            End::Cancelled => Self::Cancelled,
            End::Lost => Self::Lost,
        }
    }
}

/// An attempt as it is remembered. Times are the controller's, in milliseconds since the Unix
/// epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRecord {
    /// Which of its task, from 1.
    pub number: u32,
    /// Where.
    #[schemars(with = "u32")]
    pub node: NodeId,
    /// Its shim's life.
    pub shim: u64,
    /// When its number was written.
    pub assigned: u64,
    /// When its start was heard of.
    pub started: Option<u64>,
    /// When its end was.
    pub ended: Option<u64>,
    /// What the shim said of its end; none if it is lost.
    pub finish: Option<Finish>,
    /// How it ended.
    pub end: Option<End>,
    /// Why it is lost, or that it may have overlapped with the next, for people.
    pub note: Option<String>,
}
