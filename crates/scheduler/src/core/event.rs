//! What happens to the state, and how it is written down.

use std::sync::Arc;

use dx_agents::NodeId;
use serde::{Deserialize, Serialize};

use crate::end::{Finish, TaskState};
use crate::id::{AttemptId, JobId, ShimId, Term};
use crate::message::Assigned;
use crate::processor::Certainty;

/// Ranges of a job's indices, each from its first to its last.
pub type Ranges = Vec<(u32, u32)>;

/// What happened at one time: one record of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// When: milliseconds since the Unix epoch, in the controller's clock. Never less than in an
    /// earlier one.
    pub at: u64,
    /// What, in this order.
    pub events: Vec<Event>,
}

/// Something that happened. All that was chosen is in it, so that nothing else is needed to get
/// from one state to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A life of the controller begins.
    Began(Term),
    /// A job was taken.
    Submitted {
        /// Its number.
        job: JobId,
        /// Its specification, as JSON.
        spec: Arc<str>,
        /// Who submitted it.
        by: String,
    },
    /// A life of a node's shim is counted with. What is open on an earlier one goes over to it.
    Joined {
        /// The life.
        shim: ShimId,
        /// What it offers, as JSON.
        capacity: Arc<str>,
        /// How surely it kills.
        kill: Certainty,
        /// Whether it enforces memory.
        memory: bool,
    },
    /// A life of a shim was given up. Its attempts have ended before this.
    GaveUp(ShimId),
    /// Work was given to a node.
    Assigned {
        /// The node's life.
        shim: ShimId,
        /// What.
        runs: Vec<Assigned>,
    },
    /// Attempts came further.
    Moved {
        /// Whether their processes run; else they were given to the shim.
        is_running: bool,
        /// Which.
        runs: Vec<Assigned>,
    },
    /// Attempts ended.
    Ended(Vec<EndOf>),
    /// Attempts were given back before anything of them ran.
    Returned {
        /// Which.
        runs: Vec<Assigned>,
        /// What their tasks are now.
        then: TaskState,
    },
    /// Attempts of a life that was over ran past its end.
    Overran(Vec<AttemptId>),
    /// Attempts are to be killed.
    Doomed {
        /// The job.
        job: JobId,
        /// The indices, all with an attempt.
        indices: Ranges,
        /// Without grace.
        now: bool,
        /// Why.
        why: Doom,
        /// What was said about it.
        reason: Option<String>,
    },
    /// Tasks without an attempt stand otherwise now: held, queued, cancelled, aborted, expired.
    Set {
        /// The job.
        job: JobId,
        /// The indices.
        indices: Ranges,
        /// How they stand now.
        state: TaskState,
        /// What was said about it.
        reason: Option<String>,
    },
    /// Attempts that have not started are to be held when they come back.
    HoldWanted {
        /// The job.
        job: JobId,
        /// The indices, all with an attempt.
        indices: Ranges,
        /// Whether; else this is not wanted any more.
        wanted: bool,
    },
    /// Tasks that had ended are to run again.
    Reopened {
        /// The job.
        job: JobId,
        /// The indices.
        indices: Ranges,
    },
    /// The priority changed.
    Prioritised {
        /// The job.
        job: JobId,
        /// To this.
        priority: i32,
    },
    /// A job is to be forgotten when it has ended.
    RemovalWanted(JobId),
    /// A job is forgotten, with its logs.
    Removed(JobId),
    /// A node takes no more work.
    Drained {
        /// The node.
        node: NodeId,
        /// What was said about it.
        reason: Option<String>,
    },
    /// A node is used again, and its faults are forgotten.
    Undrained(NodeId),
    /// A node takes no more work for a while.
    Quarantined {
        /// The node.
        node: NodeId,
        /// Until then.
        until: u64,
        /// Why.
        reason: String,
    },
    /// All that tasks wait for has ended.
    Decided {
        /// The job.
        job: JobId,
        /// The indices.
        indices: Ranges,
        /// What becomes of them.
        decision: Decision,
    },
    /// A task submitted a job: for the first time, or again in another attempt.
    Called {
        /// The job.
        job: JobId,
        /// By which attempt.
        by: AttemptId,
    },
    /// Tasks that were aborted or skipped wait again: what stopped them runs again.
    Revived {
        /// The job.
        job: JobId,
        /// The indices.
        indices: Ranges,
        /// What runs again.
        via: JobId,
    },
    /// An attempt waits for jobs to end, and has given up its processors: for these from now on. If
    /// for none, it is to have them again.
    Waits {
        /// Which.
        attempt: AttemptId,
        /// For which jobs, of those that have not ended.
        on: Vec<JobId>,
    },
    /// Attempts have their processors again.
    Resumed(Vec<AttemptId>),
}

/// What becomes of tasks when all that they wait for has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// They are queued.
    Run,
    /// They are skipped.
    Skip {
        /// By the end of this one.
        via: JobId,
        /// Which came from the end of this one.
        root: JobId,
    },
    /// They are aborted.
    Abort {
        /// By the end of this one.
        via: JobId,
        /// Which came from the end of this one.
        root: JobId,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndOf {
    /// Which.
    pub attempt: AttemptId,
    /// How.
    pub how: How,
    /// What becomes of its task.
    pub then: Then,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum How {
    /// As its shim said.
    Told(Box<Finish>),
    /// Nobody knows.
    Lost(Loss),
}

/// Why nobody knows how an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Its node was not heard of before its lease ended.
    Silence,
    /// Its shim has another life, and knows nothing of it.
    Forgotten,
}

/// What becomes of a task whose attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// It is over, in this state.
    Over(TaskState),
    /// It may run again from this time on.
    Again(u64),
}

/// Why an attempt is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Doom {
    /// Somebody cancelled it.
    Cancel,
    /// The deadline of its job has passed.
    Deadline,
    /// It has not started, and too many of its siblings failed.
    Siblings,
}
