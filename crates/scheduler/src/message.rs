//! What controller and runners say to each other.
//!
//! ```text
//! Runner                       Controller
//!   Join(shim, what it holds) ->            at its start, and whenever either was away
//!                          <- Welcome       journaled: the controller counts with the node
//!   Beat(clock)            ->
//!                          <- Granted       the shim's lease runs from the beat's clock
//!                          <- Assign        journaled before it leaves
//!   Reports                ->               kept by the shim until
//!                          <- Recorded      they are journaled
//!                          <- Waits         tasks give up their processors, and get them back
//! ```
//!
//! Every message has the shim's life and the controller's term; what is of another is dropped and
//! counted.

use std::sync::Arc;

use bytes::Bytes;
use dx_agents::{Lane, Message};
use serde::{Deserialize, Serialize};

use crate::client::Asked;
use crate::end::Finish;
use crate::id::{AttemptId, JobId, ShimId, Term};
use crate::processor::{Certainty, KillRun, LogPart, Progress, ReadLog, Told, Usage};

/// What a controller hears from a runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToController {
    /// A node offers itself, or comes back.
    Join(Join),
    /// The shim's clock at this time. Answered by [`ToRunner::Granted`].
    Beat {
        /// Whose.
        shim: ShimId,
        /// The clock.
        clock: u64,
    },
    /// What happened to attempts.
    Reports {
        /// Where.
        shim: ShimId,
        /// What.
        reports: Vec<Report>,
    },
    /// How much of the node is in use.
    Usage {
        /// Which.
        shim: ShimId,
        /// How much.
        usage: Usage,
    },
}

/// A node that offers itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// Which of this runner's. It heeds nothing before its latest is answered: an assignment that
    /// was under way while it gave the same attempt back must not run.
    pub number: u64,
    /// Its shim.
    pub shim: ShimId,
    /// What it offers, as JSON of [`Resources`](crate::job::Resources).
    pub capacity: Arc<str>,
    /// How surely it kills.
    pub kill: Certainty,
    /// Whether it enforces memory.
    pub memory: bool,
    /// What it has queued, started, or knows the end of: all that it will still report.
    pub holds: Vec<AttemptId>,
    /// Attempts of an earlier life that ran past their lease.
    pub overran: Vec<AttemptId>,
}

/// What happened to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// It was given to the shim.
    Starting(AttemptId),
    /// Its process runs.
    Started(AttemptId),
    /// It is over.
    Ended(AttemptId, Finish),
    /// The runner gave it back before anything of it ran: as it was asked to, or because the shim
    /// has another life.
    Returned(AttemptId),
    /// How far it is.
    Progress(AttemptId, Progress),
    /// It has its processors and gpus again, in this round: what it waited for is over. Answers a
    /// [`Waiting`] that is over, as often as that is said.
    Resumed(AttemptId, u32),
}

/// What a runner hears from the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToRunner {
    /// Say who you are: a controller begins a term. Answered by [`ToController::Join`].
    Who {
        /// The term.
        term: Term,
    },
    /// The controller counts with this life of the node's shim, and knows of no attempts on it but
    /// those that it says here or later. What the runner holds beyond `keep` is ended and forgotten.
    Welcome {
        /// The term.
        term: Term,
        /// [`Join::number`] of what it answers.
        join: u64,
        /// The life.
        shim: ShimId,
        /// How long a lease is, in nanoseconds.
        lease: u64,
        /// Of what the node holds, this goes on, or is still to be reported.
        keep: Vec<AttemptId>,
    },
    /// This life of the shim was given up: its attempts are lost. It ends them all and begins
    /// another.
    Fenced {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
    },
    /// The lease is renewed from this clock on.
    Granted {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
        /// The beat's clock.
        clock: u64,
    },
    /// Work.
    Assign {
        /// The term.
        term: Term,
        /// The life that it is for.
        shim: ShimId,
        /// Jobs that the runner has not been told of since it was last welcomed, as JSON of
        /// [`JobSpec`](crate::job::JobSpec).
        jobs: Vec<(JobId, Arc<str>)>,
        /// What to run, in this order.
        runs: Vec<Assigned>,
    },
    /// Give these back if they have not started: others have room for them.
    Retract {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
        /// Which.
        attempts: Vec<AttemptId>,
    },
    /// End these. What has not started is reported as cancelled.
    Kill {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
        /// Which.
        attempts: Vec<KillRun>,
    },
    /// These ends are journaled.
    Recorded {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
        /// Which.
        attempts: Vec<AttemptId>,
    },
    /// Logs of these may go: their jobs are removed.
    DropLogs {
        /// The term.
        term: Term,
        /// Which.
        attempts: Vec<AttemptId>,
    },
    /// These wait for jobs, or have waited. Said again of all that are blocked or return, after each
    /// welcome and before any work.
    Waits {
        /// The term.
        term: Term,
        /// The life.
        shim: ShimId,
        /// Which, and how.
        waits: Vec<Waiting>,
    },
}

/// An attempt that waits for jobs, and has given up its processors and gpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which.
    pub attempt: AttemptId,
    /// Which time that it is blocked, from 1: what is said of an earlier one is late.
    pub round: u32,
    /// What it waited for is over: it is to have its room again, before anything begins, and that is
    /// answered by [`Report::Resumed`].
    pub is_over: bool,
}

/// Consecutive tasks of a job, each in the attempt of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The job.
    pub job: JobId,
    /// The first index.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// The number of the attempt.
    pub number: u32,
}

/// What a controller's agent hears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControllerMessage {
    /// From a runner.
    Runner(ToController),
    /// From a client, as a question.
    Client(Asked),
}

/// What a runner's agent hears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunnerMessage {
    /// From the controller.
    Controller(ToRunner),
    /// From its processor: some of what it told at once, in its order. A beat is alone.
    Processor(Vec<Told>),
    /// From a client, as a question that a [`LogPart`] answers.
    Read(ReadLog),
}

impl Message for ControllerMessage {
    const NAME: &'static str = "dx.jobs.controller";

    /// Leases do not wait behind reports.
    fn lane(&self) -> Lane {
        match self {
            Self::Runner(ToController::Beat { .. }) => Lane::Urgent,
            _ => Lane::Normal,
        }
    }

    fn body(&self) -> Bytes {
        match self {
            Self::Client(asked) => asked.body(),
            Self::Runner(_) => Bytes::new(),
        }
    }

    fn set_body(&mut self, body: Bytes) {
        if let Self::Client(asked) = self {
            asked.set_body(body);
        }
    }
}

impl Message for RunnerMessage {
    const NAME: &'static str = "dx.jobs.runner";

    fn lane(&self) -> Lane {
        match self {
            Self::Controller(ToRunner::Granted { .. }) => Lane::Urgent,
            Self::Processor(told) if matches!(told[..], [Told::Beat { .. }]) => Lane::Urgent,
            _ => Lane::Normal,
        }
    }
}

impl Message for LogPart {
    const NAME: &'static str = "dx.jobs.log";

    fn lane(&self) -> Lane {
        Lane::Bulk
    }
}
