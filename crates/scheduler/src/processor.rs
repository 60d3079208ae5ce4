//! The job processor: what runs attempts on one node. The runner knows nothing else of it.
//!
//! ```text
//! Runner --- Call ---> Processor: the shim, a simulated one, or another engine
//!        <-- Told ----
//! ```
//!
//! Calls and what is told are messages: a processor is a process of its own, which dies, lags and
//! is cut off. Each call may be made again; what is repeated changes nothing.
//!
//! *Invariant:* an attempt is told [`Told::Ended`] when nothing that it started is left.
//! *Invariant:* an end is kept until [`Call::Forget`], and told again to whoever says hello. It is on
//! its way to the disk when it is told; if the processor dies before it is there, its next life says
//! that the attempt is lost, and whoever has heard of the end knows better.
//! *Invariant:* when the lease is over, nothing runs, and the shim begins another life.

use std::sync::Arc;

use bytes::Bytes;
use dx_agents::Message;
use serde::{Deserialize, Serialize};

use crate::end::Finish;
use crate::id::{AttemptId, JobId, ShimId, Term};

/// The version of the calls. A shim of another version is not talked to: it ends with its tasks.
pub const VERSION: u16 = 2;

/// The most bytes of a log in one answer.
pub const MAX_LOG_PART: usize = 256 << 10;

/// What a runner asks of its processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Say how you are: answered by [`Told::Hello`].
    Hello,
    /// Run these, all at once. Of one that is known already, nothing happens.
    Run(Vec<Run>),
    /// Run these of one job in the rooms of those before them.
    Follow(Follow),
    /// What of these waits to follow is not to begin: each such is answered by [`Told::Unknown`].
    Return(Vec<AttemptId>),
    /// End these. Of one that is not known, [`Told::Unknown`].
    Kill(Vec<KillRun>),
    /// How these stand: each is answered by its last [`Told::Started`], [`Told::Ended`] or
    /// [`Told::Unknown`].
    Status(Vec<AttemptId>),
    /// All attempts that run, or whose end is kept: answered by [`Told::List`].
    List,
    /// A part of a log: answered by [`Told::Log`].
    Log(ReadLog),
    /// Ends of these need not be kept any more: the controller has them for good. Logs stay.
    Forget(Vec<AttemptId>),
    /// Logs of these may go.
    DropLogs(Vec<AttemptId>),
    /// The lease is renewed, from the clock that a [`Told::Beat`] had.
    Renew {
        /// The beat's `clock`.
        clock: u64,
        /// For how long from then, in nanoseconds.
        lease: u64,
        /// The controller's life; a lower one than known is ignored.
        term: Term,
    },
    /// The controller gave this life up: kill everything, keep what is not forgotten, and begin
    /// another life. To another life it says nothing.
    Abandon {
        /// [`ShimId::incarnation`] of the life.
        shim: u64,
    },
    /// Kill everything, keep what is not forgotten, and end.
    Stop,
}

/// An attempt to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub attempt: AttemptId,
    /// The life of the shim that it is meant for: another life refuses it with [`Told::Unknown`].
    pub shim: u64,
    /// The job, as JSON of a [`JobSpec`](crate::job::JobSpec): shared by all its tasks.
    pub spec: Arc<str>,
    /// The GPUs that are its own, by number.
    pub gpus: Vec<u32>,
}

/// Attempts of one job that begin as those before them end, so that no room stands empty while the
/// runner hears of it. They have none of their own: the runner counts the room of what has ended as
/// that of the first of them from when it hears of that end, which it does in the same order. What
/// still waits when the processor is asked how it is, or when its life ends, it forgets, and says so
/// with [`Told::Unknown`]: it is as if it had not been given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Follow {
    /// The job.
    pub job: JobId,
    /// Each of `attempts` begins, in their order, when fewer than so many of the job are under way,
    /// however they were given. Holds for those that wait already, too.
    pub wide: u32,
    /// The life of the shim that they are meant for: another one refuses them with
    /// [`Told::Unknown`].
    pub shim: u64,
    /// [`Hello::number`] of the last hello that was heard. What crossed a later one is not heeded,
    /// as it is forgotten by that.
    pub since: u64,
    /// As [`Run::spec`].
    pub spec: Arc<str>,
    /// Which.
    pub attempts: Vec<AttemptId>,
}

/// An attempt to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRun {
    /// Which.
    pub attempt: AttemptId,
    /// At once, without the signal that asks, and without grace.
    pub now: bool,
}

/// What a processor tells, asked or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// How it is. Also when it begins another life.
    Hello(Hello),
    /// The shim's clock, after each [`Told::Hello`] and several times in a lease: the runner passes
    /// it on and brings back the renewal.
    Beat {
        /// Nanoseconds of `CLOCK_BOOTTIME`.
        clock: u64,
    },
    /// A process runs.
    Started {
        /// Of which attempt.
        attempt: AttemptId,
        /// Its number.
        pid: u32,
    },
    /// A task said how far it is.
    Progress {
        /// Which attempt.
        attempt: AttemptId,
        /// How far.
        progress: Progress,
    },
    /// Nothing is left of an attempt. Told again after each [`Told::Hello`], until it is forgotten.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        finish: Finish,
    },
    /// It has never heard of this attempt in this life, or has forgotten it.
    Unknown(AttemptId),
    /// What runs, and what has ended and is kept.
    List {
        /// These run.
        running: Vec<AttemptId>,
        /// These have ended.
        ended: Vec<AttemptId>,
    },
    /// A part of a log.
    Log(LogPart),
    /// How much of the machine is in use.
    Usage(Usage),
}

/// How a processor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its life.
    pub shim: ShimId,
    /// Another one each time that it says so, in this life: see [`Follow::since`].
    pub number: u64,
    /// What runs, or is about to.
    pub running: Vec<Running>,
    /// What has ended and is kept.
    pub ended: Vec<AttemptId>,
    /// Whether all that a task started is found and killed for certain, or as far as it can be
    /// known.
    pub kill: Certainty,
    /// Whether `resources.memory` is enforced.
    pub memory: bool,
    /// Of what has ended and is kept, what ran past the end of a lease because the shim, or its
    /// machine, stood still: those attempts may have overlapped with others. It is on the disk with
    /// their ends, and said as long as they are kept.
    pub overran: Vec<AttemptId>,
    /// The machine: processors in thousandths, bytes of memory, GPUs.
    pub machine: Machine,
}

/// An attempt that runs, with what it takes: a runner that has just begun knows only this of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which.
    pub attempt: AttemptId,
    /// What it takes, as JSON of [`Resources`](crate::job::Resources): those of its job.
    pub resources: Arc<str>,
    /// See [`Run::gpus`].
    pub gpus: Vec<u32>,
}

/// How certainly a task's whole tree is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The kernel kills it: it is in a cgroup of its own.
    Certain,
    /// What leaves its process group and clears its environment may escape.
    BestEffort,
}

/// What a machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors, in thousandths.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// GPUs.
    pub gpus: u32,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Progress {
    /// What it does.
    pub label: String,
    /// The step that it is at.
    pub step: u64,
    /// Of how many, if it knows.
    pub total: Option<u64>,
}

/// Which part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLog {
    /// Comes back with the answer.
    pub ticket: u64,
    /// Whose.
    pub attempt: AttemptId,
    /// From which piece on: 0, or `next` of an earlier answer.
    pub from: u64,
    /// At most so many bytes; no more than [`MAX_LOG_PART`].
    pub max: u32,
    /// Whether the answer waits until there is more, or the log has ended.
    pub wait: bool,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// See [`ReadLog::ticket`].
    pub ticket: u64,
    /// Whose.
    pub attempt: AttemptId,
    /// What was printed, in the order in which it was read.
    pub pieces: Vec<Piece>,
    /// Where the next part begins.
    pub next: u64,
    /// Whether nothing follows.
    pub is_end: bool,
    /// Bytes that were beyond the job's `output.max`, once it is known.
    pub dropped: u64,
    /// Whether there is such a log.
    pub is_known: bool,
}

/// Something that was printed at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Onto which stream.
    pub stream: Stream,
    /// When it was read: milliseconds since the Unix epoch.
    pub at: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// A stream of output.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output; and standard error, where both are merged.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How much of a machine is in use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// Of all processors together: 0 to 1.
    pub cpu: f32,
    /// Of each.
    pub cores: Vec<f32>,
    /// Bytes in use, of bytes in all.
    pub memory: (u64, u64),
    /// The same of swap.
    pub swap: (u64, u64),
    /// Of each GPU: 0 to 1.
    pub gpus: Vec<f32>,
}

impl Message for Call {
    const NAME: &'static str = "dx.processor.call";
}
