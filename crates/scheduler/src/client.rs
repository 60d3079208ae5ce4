//! What is asked of a controller by those who submit, watch and steer: the REST API, the command
//! line behind it, and programs that embed it. Requests are asks to the controller's agent, and so
//! can come from any node.
//!
//! Requests and answers travel as JSON, so that nodes of different versions understand each other,
//! and are what the REST API shows.

mod graph;
mod selection;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{Message, NodeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::end::TaskState;
use crate::id::{AttemptId, JobId, TaskId};
use crate::job::{JobSpec, Problem};

pub use graph::{
    AfterView, CallerView, GraphQuery, GraphView, MAX_AFTER_SHOWN, MAX_WALK, StoppedView, TiedJob,
    Toward,
};
pub use selection::{InvalidSelection, Part, Selection};
pub use view::{
    AttemptView, Cause, Counts, Explanation, JobState, JobView, Motion, NodeState, NodeView, Pair,
    Removal, Step, TaskView, Validity, Verdict,
};

/// The most jobs, tasks or nodes on a page.
pub const MAX_PAGE: u32 = 1_000;

/// How long [`Request::Watch`] waits at most for a change: ask with a longer time than this.
pub const WATCH_FOR: Duration = Duration::from_secs(20);

/// What is asked of a controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Take a job. Answered by [`Answer::Submitted`] when it is journaled.
    Submit {
        /// The job.
        spec: Box<JobSpec>,
        /// Who submits it: the user's name, or that of a token.
        by: String,
        /// Checks it, and what nodes could run it, and takes nothing.
        dry_run: bool,
    },
    /// Take a job from a task that runs. If the task has such a job already, from an earlier attempt,
    /// it is that one; if that failed, it runs again.
    Call {
        /// The job.
        spec: Box<JobSpec>,
        /// Who submits it.
        by: String,
        /// Which attempt does.
        caller: AttemptId,
        /// Checks it, and takes nothing.
        dry_run: bool,
    },
    /// Take several jobs, or none of them; they may wait for each other, by name. Answered by
    /// [`Answer::AllSubmitted`] when they are journaled.
    SubmitAll {
        /// The jobs, by the names that they have for each other.
        jobs: BTreeMap<String, JobSpec>,
        /// Who submits them.
        by: String,
        /// Which attempt does, if it is one: see [`Request::Call`].
        #[serde(default)]
        caller: Option<AttemptId>,
        /// Checks them, and takes nothing.
        dry_run: bool,
    },
    /// A task waits for jobs to end, and gives up its processors and gpus until then. Answered at once
    /// by [`Answer::Waits`], and to be asked again until that says that it is over: at least each
    /// [`WATCH_FOR`], else the task has its room again though they have not ended.
    Wait {
        /// Which attempt.
        caller: AttemptId,
        /// For which jobs.
        jobs: Vec<JobId>,
        /// It waits for these no longer.
        #[serde(default)]
        leave: bool,
    },
    /// Jobs, newest first.
    Jobs(JobQuery),
    /// One job.
    Job(JobId),
    /// Its specification.
    Spec(JobId),
    /// The jobs that a job is tied to.
    Graph(GraphQuery),
    /// Tasks of a job by index.
    Tasks(TaskQuery),
    /// One task with its attempts.
    Task(TaskId),
    /// What happened to a task, and why it does not run if it does not.
    Explain(TaskId),
    /// Whether a job is still to run, and if not, why it left the queue.
    Valid(JobId),
    /// Waits until something changed beyond `since` in what is watched, or for [`WATCH_FOR`].
    /// Answered by [`Answer::Changed`].
    Watch {
        /// One job, or everything.
        job: Option<JobId>,
        /// The version of an earlier answer; 0 is answered at once.
        since: u64,
    },
    /// End tasks.
    Cancel {
        /// Which.
        what: Selection,
        /// Without grace.
        now: bool,
        /// For the record.
        reason: Option<String>,
    },
    /// Run tasks again: those that did not succeed, or all that have ended.
    Retry {
        /// Which.
        what: Selection,
        /// Also those that succeeded or were skipped.
        all: bool,
    },
    /// Keep tasks that wait from running.
    Hold(Selection),
    /// Let them.
    Release(Selection),
    /// Change the priority.
    Priority(Selection, i32),
    /// Remove jobs that have ended, with their logs; others with `force`, after they are cancelled.
    Remove {
        /// Which.
        what: Selection,
        /// Whether they may still run.
        force: bool,
    },
    /// All nodes.
    Nodes,
    /// Take no more work to a node. What runs there goes on.
    Drain {
        /// The node.
        node: NodeId,
        /// For the record.
        reason: Option<String>,
    },
    /// Use it again, also after a quarantine.
    Undrain(NodeId),
}

/// Which jobs, and how many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobQuery {
    /// Jobs below this number: the `next` of an earlier page.
    pub before: Option<JobId>,
    /// At most so many; [`MAX_PAGE`] if left out, and never more.
    pub limit: Option<u32>,
    /// Only in one of these states.
    pub states: Vec<JobState>,
    /// Only with all of these labels, as `team=blue`.
    pub labels: Vec<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only those that changed beyond this version: that of an earlier answer.
    pub since: Option<u64>,
    /// Only those that were submitted with this id.
    pub request_id: Option<String>,
    /// Only those that have something on this node that has not ended.
    #[schemars(with = "Option<u32>")]
    pub node: Option<NodeId>,
}

/// Which tasks of a job, and how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskQuery {
    /// The job.
    pub job: JobId,
    /// From this index on: the `next` of an earlier page.
    #[serde(default)]
    pub from: u32,
    /// At most so many; [`MAX_PAGE`] if left out, and never more.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Only in one of these states.
    #[serde(default)]
    pub states: Vec<TaskState>,
}

/// What a controller answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The job has this number, and is journaled.
    Submitted {
        /// Its number. Of a dry run, the number that it would have.
        job: JobId,
        /// Whether an earlier request with the same id had taken it already.
        is_repeat: bool,
        /// What is odd about it, as that no node could run it now.
        warnings: Vec<String>,
    },
    /// The jobs have these numbers, and are journaled.
    AllSubmitted {
        /// Each, by the name that it has for the others.
        jobs: BTreeMap<String, Taken>,
        /// What is odd about them.
        warnings: Vec<String>,
    },
    /// Jobs.
    Jobs {
        /// Those on this page.
        jobs: Vec<JobView>,
        /// Where the next page begins, if there is one.
        next: Option<JobId>,
        /// For [`Request::Watch`].
        version: u64,
    },
    /// A job.
    Job(Box<JobView>),
    /// Its specification.
    Spec(Box<JobSpec>),
    /// Jobs that are tied to each other.
    Graph(Box<GraphView>),
    /// Tasks.
    Tasks {
        /// Those on this page.
        tasks: Vec<TaskView>,
        /// Where the next page begins, if there is one.
        next: Option<u32>,
    },
    /// A task.
    Task(Box<TaskView>),
    /// What happened to it.
    Explained(Box<Explanation>),
    /// Whether it is still to run.
    Valid(Validity),
    /// Something changed, or nothing did in time.
    Changed {
        /// The version now.
        version: u64,
        /// The job as it is, if one was watched.
        job: Option<Box<JobView>>,
    },
    /// How a wait stands.
    Waits {
        /// Whether all that was waited for has ended, and the task has its room.
        is_over: bool,
        /// If not, what to watch to see that change: a job, and its version.
        watch: Option<(JobId, u64)>,
    },
    /// It is done, to so many tasks, or jobs where jobs are removed.
    Done {
        /// How many it changed something for.
        changed: u64,
    },
    /// The nodes.
    Nodes(Vec<NodeView>),
    /// It is not done.
    Refused(RequestError),
}

/// A job that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// Its number. Of a dry run, the number that it would have.
    pub job: JobId,
    /// Whether an earlier request with the same `request_id` had taken it already.
    pub is_repeat: bool,
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RequestError {
    /// The job says what cannot be.
    #[error("the job cannot be taken: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// There is none, or it was removed.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// The job has no such index.
    #[error("there is no task {0}")]
    NoTask(TaskId),
    /// There is no such node, or it has no runner.
    #[error("there is no runner on a node {0}")]
    NoNode(NodeId),
    /// The request's id was that of another job.
    #[error("request_id `{id}` was used for job {job}, which is another: choose another id")]
    OtherJob {
        /// The id.
        id: String,
        /// Whose it is.
        job: JobId,
    },
    /// It has not ended.
    #[error("job {0} has not ended: cancel it first, or force its removal")]
    NotEnded(JobId),
    /// Something that has not ended waits for it, or called it.
    #[error("job {0} cannot be removed: others still wait for it; remove those, too, or first")]
    Needed(JobId),
    /// Only a task that runs submits jobs as its own.
    #[error("attempt {0} does not run, and only what runs submits jobs as its own")]
    NotRunning(AttemptId),
    /// Somebody waits for what waits for him.
    #[error(
        "task {task} would wait for itself: {}, which is its own job; nothing of it would ever end",
        said_way(.path)
    )]
    WaitsForItself {
        /// Who would wait.
        task: TaskId,
        /// Jobs, each of which waits for the next; the last is that of the task.
        path: Vec<JobId>,
    },
    /// What it waits for does not let it run.
    #[error(
        "job {job} would be stopped again by how job {via} ended: retry job {root}, and it follows"
    )]
    Stopped {
        /// The job.
        job: JobId,
        /// By the end of this one.
        via: JobId,
        /// Which came from the end of this one.
        root: JobId,
    },
    /// The controller has as much as it can bear.
    #[error("the queue is full: {tasks} tasks wait, of at most {most}; submit again later")]
    Full {
        /// Tasks that wait.
        tasks: u64,
        /// The bound.
        most: u64,
    },
    /// Its disk is full: nothing new can be journaled.
    #[error("the controller's disk is full: it takes no work until there is room")]
    DiskFull,
    /// The request is of a version that this controller does not know.
    #[error("the controller does not understand this request: {0}")]
    Unknown(String),
}

/// The most jobs of a way that are said.
const MAX_SAID: usize = 20;

/// Jobs, each of which waits for the next, for people.
fn said_way(path: &[JobId]) -> String {
    let more = path.len().saturating_sub(MAX_SAID);
    let said = path.iter().enumerate().filter(|(at, _)| *at == 0 || *at > more);
    let said: Vec<String> = said.map(|(_, job)| format!("job {job}")).collect();
    said.join(if more > 0 { ", which waits, by others, for " } else { ", which waits for " })
}

/// A request on its way, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(skip)]
    json: Bytes,
}

/// An answer on its way, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    #[serde(skip)]
    json: Bytes,
}

macro_rules! as_json {
    ($message:ident, $of:ident, $name:literal) => {
        impl $message {
            /// It on its way.
            #[must_use]
            pub fn new(it: &$of) -> Self {
                let json = serde_json::to_vec(it).expect("it has text keys only");
                Self { json: json.into() }
            }

            /// What it is.
            ///
            /// # Errors
            /// If it is of a version that is not known here.
            pub fn open(&self) -> Result<$of, serde_json::Error> {
                serde_json::from_slice(&self.json)
            }
        }

        impl Message for $message {
            const NAME: &'static str = $name;

            fn body(&self) -> Bytes {
                self.json.clone()
            }

            fn set_body(&mut self, body: Bytes) {
                self.json = body;
            }
        }
    };
}

as_json!(Asked, Request, "dx.jobs.request");
as_json!(Answered, Answer, "dx.jobs.answer");
