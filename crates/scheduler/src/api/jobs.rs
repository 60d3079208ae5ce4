//! Jobs: submitted, listed, shown.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, InJob, Query};
use super::waiting::Seen;
use super::{Api, Caller, Failure};
use crate::client::{Answer, JobQuery, JobState, JobView, Request, Validity};
use crate::id::{AttemptId, InvalidId, JobId};
use crate::job::{JobSpec, Span};

/// How long a long poll waits if it does not say, and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(5));

/// How a job is submitted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Submission {
    /// Only checks it, and what nodes could run it.
    pub(super) dry_run: bool,
    /// The attempt that submits it, as `7.0#2`, if a task does: what a task called is cancelled with
    /// it, and a later attempt of it gets the same job again.
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+#[0-9]+$"))]
    pub(super) caller: Option<String>,
}

/// A job that was taken, or would be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// Its number. Of a dry run, the number that it would have.
    pub job: JobId,
    /// Whether an earlier request with the same `request_id` had taken it already.
    pub is_repeat: bool,
    /// What is odd about it, as that no node could run it now.
    pub warnings: Vec<String>,
}

/// Which jobs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listing {
    /// Jobs below this number: the `next` of an earlier page.
    before: Option<JobId>,
    /// At most so many; 1000 if left out, and never more.
    limit: Option<u32>,
    /// Only in this state; several times for any of them.
    state: Vec<JobState>,
    /// Only with this label, as `team=blue`; several times for all of them.
    label: Vec<String>,
    /// Only of this name.
    name: Option<String>,
    /// Only those that changed beyond this version.
    since: Option<u64>,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// What `before` of the next page is; none on the last.
    pub next: Option<JobId>,
    /// The version of all jobs together.
    pub version: u64,
}

/// Whether to wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Polling {
    /// The `version` of an earlier answer: waits until the job changed beyond it.
    since: Option<u64>,
    /// For how long at most; `30s` if left out, and never longer than `5min`. The answer is the job
    /// as it is then.
    wait: Option<Span>,
}

/// Submit a job.
///
/// It is taken when the answer is here: journaled on the controller's disk. A job that is sent
/// again with the same `request_id` is the same job.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", params(Submission),
    request_body = ref("#/components/schemas/JobSpec"),
    responses(
        (status = 201, description = "It is taken.", body = ref("#/components/schemas/Submitted")),
        (status = 200, description = "It was taken already, or this is a dry run.",
            body = ref("#/components/schemas/Submitted"))))]
pub async fn submit(
    State(api): State<Api>,
    caller: Caller,
    Query(Submission { dry_run, caller: from }): Query<Submission>,
    Body(spec): Body<JobSpec>,
) -> Result<(StatusCode, Json<Submitted>), Failure> {
    let (spec, by) = (Box::new(spec), caller.name);
    let request = match attempt(from.as_deref())? {
        Some(caller) => Request::Call { spec, by, caller, dry_run },
        None => Request::Submit { spec, by, dry_run },
    };
    let submitted = api.submit(request, dry_run).await?;
    let is_new = !dry_run && !submitted.is_repeat;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(submitted)))
}

/// The attempt that a query names.
pub(super) fn attempt(text: Option<&str>) -> Result<Option<AttemptId>, Failure> {
    let invalid = |why: InvalidId| {
        Failure::new(StatusCode::BAD_REQUEST, "invalid_query", format!("`caller`: {why}"))
    };
    text.map(str::parse).transpose().map_err(invalid)
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(Listing), responses(
    (status = 200, description = "A page of them.", body = ref("#/components/schemas/JobPage"))))]
pub async fn list(
    State(api): State<Api>,
    Query(Listing { before, limit, state, label, name, since }): Query<Listing>,
) -> Result<Json<JobPage>, Failure> {
    let query = JobQuery {
        before,
        limit,
        states: state,
        labels: label,
        name,
        since,
        ..JobQuery::default()
    };
    api.page(query).await.map(Json)
}

/// One job.
///
/// With `since` it waits until the job changes.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = u64, Path, description = "The job's number."), Polling), responses(
    (status = 200, description = "The job as it is.", body = ref("#/components/schemas/JobView"))))]
pub async fn show(
    State(api): State<Api>,
    InJob(job): InJob,
    Query(Polling { since, wait }): Query<Polling>,
) -> Result<Json<JobView>, Failure> {
    let Some(since) = since else {
        if wait.is_some() {
            let text = "`wait` goes with `since`: there is nothing to wait for";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_query", text)
                .hint("ask for the job first, and then with `since` and its `version`"));
        }
        return api.job(job).await.map(Json);
    };
    let _place = api.place()?;
    let mut left = wait.map_or(WAIT.0, |wait| wait.0.min(WAIT.1));
    loop {
        let begun = tokio::time::Instant::now();
        if let Seen::Job(job) = api.watch(Some(job), since, left).await? {
            return Ok(Json(*job));
        }
        left = left.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return api.job(job).await.map(Json);
        }
    }
}

/// A job's specification.
///
/// As it was submitted, with what was left out.
#[utoipa::path(get, path = "/v1/jobs/{id}/spec", tag = "jobs",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "The specification.", body = ref("#/components/schemas/JobSpec"))))]
pub async fn spec(State(api): State<Api>, InJob(job): InJob) -> Result<Json<JobSpec>, Failure> {
    let spec = api.ask(Request::Spec(job), |answer| match answer {
        Answer::Spec(spec) => Some(Json(*spec)),
        _ => None,
    });
    spec.await
}

/// Whether a job is still to run.
///
/// And if not, why it left the queue.
#[utoipa::path(get, path = "/v1/jobs/{id}/valid", tag = "jobs",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "Whether it is.", body = ref("#/components/schemas/Validity"))))]
pub async fn valid(State(api): State<Api>, InJob(job): InJob) -> Result<Json<Validity>, Failure> {
    let valid = api.ask(Request::Valid(job), |answer| match answer {
        Answer::Valid(validity) => Some(Json(validity)),
        _ => None,
    });
    valid.await
}

impl Api {
    /// Submits one job, as `request` says.
    pub(super) async fn submit(
        &self,
        request: Request,
        dry_run: bool,
    ) -> Result<Submitted, Failure> {
        if !dry_run {
            self.check_room()?;
        }
        let submitted = self.ask(request, |answer| match answer {
            Answer::Submitted { job, is_repeat, warnings } => {
                Some(Submitted { job, is_repeat, warnings })
            }
            _ => None,
        });
        submitted.await
    }

    pub(super) async fn page(&self, query: JobQuery) -> Result<JobPage, Failure> {
        let page = self.ask(Request::Jobs(query), |answer| match answer {
            Answer::Jobs { jobs, next, version } => Some(JobPage { jobs, next, version }),
            _ => None,
        });
        page.await
    }

    pub(super) async fn job(&self, job: JobId) -> Result<JobView, Failure> {
        let view = self.ask(Request::Job(job), |answer| match answer {
            Answer::Job(view) => Some(*view),
            _ => None,
        });
        view.await
    }
}
