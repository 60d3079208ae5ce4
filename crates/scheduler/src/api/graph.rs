//! Jobs that are submitted together, and how jobs are tied to each other.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, InJob, Query};
use super::jobs::{Submission, attempt};
use super::{Api, Caller, Failure};
use crate::client::{Answer, GraphQuery, GraphView, Request, Taken, Toward};
use crate::id::JobId;
use crate::job::Jobs;

/// Jobs that were taken, or would be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AllSubmitted {
    /// Each, by the name that it has for the others.
    pub jobs: BTreeMap<String, Taken>,
    /// What is odd about them.
    pub warnings: Vec<String>,
}

/// Where to walk.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Walk {
    /// `up` to what it waits for and who called it, `down` to what waits for it and what it called;
    /// `both`, if left out, to all that is connected.
    toward: Option<Toward>,
    /// At most so many steps away.
    steps: Option<u32>,
    /// Jobs from this number on: the `next` of an earlier page.
    from: Option<JobId>,
    /// At most so many; 1000 if left out, and never more.
    limit: Option<u32>,
}

/// Submit several jobs.
///
/// All of them or, if something is wrong with one, none. They may wait for each other by their names
/// here.
#[utoipa::path(post, path = "/v1/graphs", tag = "jobs", params(Submission),
    request_body = ref("#/components/schemas/Jobs"),
    responses(
        (status = 201, description = "They are taken.",
            body = ref("#/components/schemas/AllSubmitted")),
        (status = 200, description = "They were taken already, or this is a dry run.",
            body = ref("#/components/schemas/AllSubmitted"))))]
pub async fn submit(
    State(api): State<Api>,
    caller: Caller,
    Query(Submission { dry_run, caller: from }): Query<Submission>,
    Body(Jobs { job: jobs }): Body<Jobs>,
) -> Result<(StatusCode, Json<AllSubmitted>), Failure> {
    if !dry_run {
        api.check_room()?;
    }
    let request =
        Request::SubmitAll { jobs, by: caller.name, caller: attempt(from.as_deref())?, dry_run };
    let submitted = api.ask(request, |answer| match answer {
        Answer::AllSubmitted { jobs, warnings } => Some(AllSubmitted { jobs, warnings }),
        _ => None,
    });
    let submitted = submitted.await?;
    let is_new = !dry_run && submitted.jobs.values().any(|job| !job.is_repeat);
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(submitted)))
}

/// What a job is tied to.
///
/// The job with all that it waits for, that waits for it, that called it and that it called, and what
/// these are tied to, as they are now.
#[utoipa::path(get, path = "/v1/jobs/{id}/graph", tag = "jobs",
    params(("id" = u64, Path, description = "The job's number."), Walk), responses(
    (status = 200, description = "The jobs, by number.",
        body = ref("#/components/schemas/GraphView"))))]
pub async fn walk(
    State(api): State<Api>,
    InJob(job): InJob,
    Query(Walk { toward, steps, from, limit }): Query<Walk>,
) -> Result<Json<GraphView>, Failure> {
    let toward = toward.unwrap_or_default();
    let query = GraphQuery { job, toward, steps, from, limit };
    let graph = api.ask(Request::Graph(query), |answer| match answer {
        Answer::Graph(graph) => Some(Json(*graph)),
        _ => None,
    });
    graph.await
}
