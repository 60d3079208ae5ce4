//! The job service of a cluster, through whichever of its nodes answers.

use std::time::Duration;

use axum::http::StatusCode;
use dx_scheduler::client::{Explanation, JobView, MAX_PAGE, TaskView};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::{AttemptId, JobId, TaskId};
use dx_transport::id::ClusterId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::{Changed, Query, TaskPage, note, word};
use crate::control::{CallError, Client, Failure, Streamed, Unreachable};
use crate::exit;
use crate::home::Home;

/// How long a request is made again while nobody answers it: a controller that starts again needs
/// a few seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for commands that wait anyway. What runs goes on meanwhile, so it is worth waiting
/// for a cluster that comes back; one that does not should not hold up a script for ever.
const LONG_PATIENCE: Duration = Duration::from_mins(10);

/// The wait before a request is made again doubles from the first of these to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long a node lets a question wait for something new, in seconds. Below the time that the
/// client gives an answer.
const WAIT_SECONDS: u32 = 20;

/// The job service of a cluster. A node that is lost is replaced by another.
#[derive(Clone, Debug)]
pub struct Service {
    home: Home,
    client: Client,
    patience: Duration,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no such job, task or node.
    #[error("{}", in_words_of_commands(.0))]
    NotFound(Failure),
    /// A selection names no job.
    #[error("`{0}` names no job: `dx job ls` lists those there are")]
    NothingSelected(String),
    /// In a task, `last` is the last job that it submitted.
    #[error("attempt {0} has submitted no job: in a task, `last` is the last one of its own")]
    NothingSubmitted(AttemptId),
    /// Whoever asks may not.
    #[error("{0}")]
    Denied(CallError),
    /// No node answers, or none that reaches the controller. It may be done nevertheless.
    #[error("{0}")]
    Unreachable(CallError),
    /// The cluster has no node here that answers.
    #[error(transparent)]
    NoNode(Unreachable),
    /// No cluster runs here.
    #[error("no cluster runs here: start one with `dx up`")]
    NoCluster,
    /// It was refused, and the answer says why; or the answer is not understood.
    #[error("{0}")]
    Refused(CallError),
}

/// A failure with a hint for whoever uses commands, where its own is for those who use the API.
fn in_words_of_commands(failure: &Failure) -> String {
    let hint = match failure.code.as_str() {
        "no_such_job" => "`dx job ls` lists those there are",
        "no_such_task" => "`dx job show` lists those there are",
        _ => return failure.to_string(),
    };
    format!("{}: {hint}", failure.message)
}

impl AskError {
    /// The code of the answer, if that is one which says that something is not there.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::NotFound(failure) => Some(&failure.code),
            _ => None,
        }
    }

    /// The code of the answer, if that says why it is not done.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(CallError::Refused(failure)) => Some(&failure.code),
            _ => None,
        }
    }

    /// The exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::NothingSelected(_) | Self::NothingSubmitted(_) => {
                exit::NOT_FOUND
            }
            Self::Denied(_) | Self::NoNode(Unreachable::Silent(CallError::Denied(_))) => {
                exit::DENIED
            }
            Self::Unreachable(_) | Self::NoNode(_) | Self::NoCluster => exit::UNREACHABLE,
            Self::Refused(_) => 1,
        }
    }
}

impl From<CallError> for AskError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Denied(_) => Self::Denied(error),
            _ if is_passing(&error) => Self::Unreachable(error),
            CallError::Refused(failure) => match failure.status {
                StatusCode::NOT_FOUND => Self::NotFound(failure),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Self::Denied(CallError::Refused(failure))
                }
                _ => Self::Refused(CallError::Refused(failure)),
            },
            other => Self::Refused(other),
        }
    }
}

/// Whether the same request may succeed in a moment.
fn is_passing(error: &CallError) -> bool {
    match error {
        CallError::NotRunning(_) | CallError::Timeout { .. } | CallError::Broken { .. } => true,
        CallError::Refused(failure) => matches!(
            failure.status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
        CallError::Denied(_) | CallError::Unreadable { .. } => false,
    }
}

impl Service {
    /// That of the cluster of which `client` is a node.
    #[must_use]
    pub fn new(home: Home, client: Client) -> Self {
        Self { home, client, patience: PATIENCE }
    }

    /// The same, for a command that waits for something to happen.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.patience = LONG_PATIENCE;
        self
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &ClusterId {
        &self.client.about().cluster
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// If it is refused, or nobody answers for too long.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, AskError> {
        self.until_answered(async |client: &Client| client.get(path).await).await
    }

    /// Sends `body` to `path`, again and again until there is an answer: for requests that change
    /// nothing when they are made twice.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &B,
    ) -> Result<T, AskError> {
        self.until_answered(async |client: &Client| client.post(path, body).await).await
    }

    /// Sends `body` to `path`, once.
    ///
    /// # Errors
    /// If it is refused, or nobody answers; then it may be done nevertheless.
    pub async fn post_once<B: Serialize, T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &B,
    ) -> Result<T, AskError> {
        Ok(self.client.post(path, body).await?)
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn stream(&mut self, path: &str) -> Result<Streamed, AskError> {
        self.until_answered(async |client: &Client| client.stream(path).await).await
    }

    async fn until_answered<T>(
        &mut self,
        ask: impl AsyncFn(&Client) -> Result<T, CallError>,
    ) -> Result<T, AskError> {
        let mut failing_since = None;
        let (mut pause, longest) = PAUSES;
        loop {
            let error = match ask(&self.client).await {
                Err(error) if is_passing(&error) => error,
                answer => return Ok(answer?),
            };
            if failing_since.is_none() {
                note(&format!("{error}; trying again"));
            }
            if failing_since.get_or_insert_with(Instant::now).elapsed() >= self.patience {
                return Err(error.into());
            }
            sleep(pause).await;
            pause = (2 * pause).min(longest);
            // Another node may know better; if none answers, this one is asked again.
            if let Ok(client) = Client::any(&self.home, self.cluster()).await {
                self.client = client;
            }
        }
    }
}

/// Questions that several commands ask.
impl Service {
    /// A job.
    ///
    /// # Errors
    /// If there is none, or nobody answers.
    pub async fn job(&mut self, job: JobId) -> Result<JobView, AskError> {
        self.get(&format!("/v1/jobs/{job}")).await
    }

    /// A job as soon as it is newer than `version`, or after a while as it is.
    ///
    /// # Errors
    /// As [`job`](Self::job).
    pub async fn changed_job(&mut self, job: JobId, version: u64) -> Result<JobView, AskError> {
        let wait = format!("{WAIT_SECONDS}s");
        let query = Query::default().with("since", version).with("wait", wait);
        self.get(&query.of(&format!("/v1/jobs/{job}"))).await
    }

    /// A job when it has ended.
    ///
    /// # Errors
    /// As [`job`](Self::job).
    pub async fn ended_job(&mut self, job: JobId) -> Result<JobView, AskError> {
        let mut view = self.job(job).await?;
        while view.ended.is_none() {
            view = self.changed_job(job, view.version).await?;
        }
        Ok(view)
    }

    /// A task.
    ///
    /// # Errors
    /// If there is none, or nobody answers.
    pub async fn task(&mut self, task: TaskId) -> Result<TaskView, AskError> {
        self.get(&format!("/v1/jobs/{}/tasks/{}", task.job, task.index)).await
    }

    /// What happened to a task.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    pub async fn explanation(&mut self, task: TaskId) -> Result<Explanation, AskError> {
        self.get(&format!("/v1/jobs/{}/tasks/{}/explain", task.job, task.index)).await
    }

    /// Tasks of a job from an index on, at most `limit` and no more than fit on a page; only those
    /// in `states`, if there is one.
    ///
    /// # Errors
    /// If there is no such job, or nobody answers.
    pub async fn tasks(
        &mut self,
        job: JobId,
        from: u32,
        limit: u32,
        states: &[TaskState],
    ) -> Result<TaskPage, AskError> {
        let query = Query::default().with("from", from).with("limit", limit.min(MAX_PAGE));
        let query = query.with_each("state", states.iter().map(|state| word(*state)));
        self.get(&query.of(&format!("/v1/jobs/{job}/tasks"))).await
    }

    /// Ends what `what` selects.
    ///
    /// # Errors
    /// If it names nothing, or nobody answers.
    pub async fn cancel(&mut self, what: &[String], now: bool) -> Result<Changed, AskError> {
        let body = serde_json::json!({ "what": what, "now": now });
        self.post("/v1/cancel", &body).await
    }
}
