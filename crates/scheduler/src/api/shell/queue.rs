//! `/scheduler`: the queue that all nodes share.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::order::{self, Order};
use super::status::Status;
use crate::api::input::{InJob, Query};
use crate::api::{Api, Caller, Failure};
use crate::client::{Answer, JobQuery, JobState, JobView, NodeState, Request, Selection};
use crate::id::JobId;

/// How long the address of a node's name is looked for. A node without one is listed without it.
const LOOKUP: Duration = Duration::from_secs(1);

/// Which jobs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listed {
    /// Only in this state; several times for any of them.
    state: Vec<JobState>,
}

/// What becomes of a job.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Update {
    /// `1` to end it.
    #[schemars(range(min = 0, max = 1))]
    kill: u8,
}

/// Nodes that jobs can run on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeList {
    /// In the order of their numbers.
    nodes: Vec<NodeEntry>,
}

/// A node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeEntry {
    /// Its name in the cluster.
    name: String,
    /// What its host's name stands for; nothing if that is not known here.
    ipv4: Vec<String>,
    /// Its host.
    hostname: String,
    /// Where it listens.
    uri: String,
}

/// Submit a job.
///
/// The answer is what was sent, with a `request_id` if there was none, and the job's number.
#[utoipa::path(post, path = "/scheduler/jobs/new", tag = "shell system",
    request_body = ref("#/components/schemas/NewJob"), responses(
    (status = 201, description = "It is taken.", body = Object),
    (status = 200, description = "It was taken already.", body = Object)))]
pub async fn add(State(api): State<Api>, caller: Caller, body: Bytes) -> Result<Response, Failure> {
    let order = Order::read(order::needed(&body)?)?;
    taken(&api, caller, order).await
}

/// Submits what was ordered, and says so.
pub async fn taken(api: &Api, caller: Caller, order: Order) -> Result<Response, Failure> {
    let submitted = order.submit(api, caller.name).await?;
    let status = if submitted.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(header::LOCATION, format!("/scheduler/jobs/{}", submitted.job))];
    Ok((status, location, Json(order.answer(&submitted))).into_response())
}

/// The numbers of all jobs.
///
/// A line each, newest first.
#[utoipa::path(get, path = "/scheduler/jobs", tag = "shell system", params(Listed), responses(
    (status = 200, description = "Their numbers.", content((String = "text/plain")))))]
pub async fn list(
    State(api): State<Api>,
    Query(Listed { state }): Query<Listed>,
) -> Result<Response, Failure> {
    let first = Some(JobQuery { states: state, ..JobQuery::default() });
    // A page at a time, as fast as the client reads.
    let pages = stream::try_unfold(first, move |query| {
        let api = api.clone();
        async move {
            let Some(query) = query else { return Ok::<_, Failure>(None) };
            let page = api.page(query.clone()).await?;
            let lines = page.jobs.iter().flat_map(|job| [job.id.to_string(), "\n".to_owned()]);
            let lines: String = lines.collect();
            let next = page.next.map(|next| JobQuery { before: Some(next), ..query });
            Ok(Some((lines, next)))
        }
    });
    let mut pages = Box::pin(pages.peekable());
    // What can be told by a status is.
    if let Some(Err(_)) = pages.as_mut().peek().await
        && let Some(Err(failure)) = pages.next().await
    {
        return Err(failure);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, Body::from_stream(pages)).into_response())
}

/// A job.
#[utoipa::path(get, path = "/scheduler/jobs/{id}", tag = "shell system",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "The job as it is.", body = ref("#/components/schemas/JobView"))))]
pub async fn show(State(api): State<Api>, InJob(job): InJob) -> Result<Json<JobView>, Failure> {
    api.job(job).await.map(Json)
}

/// How a job stands.
#[utoipa::path(get, path = "/scheduler/jobs/{id}/status", tag = "shell system",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "How it stands.", body = ref("#/components/schemas/Status"))))]
pub async fn status(State(api): State<Api>, InJob(job): InJob) -> Result<Json<Status>, Failure> {
    api.status(job).await.map(Json)
}

/// End a job, or see how it stands.
///
/// With `kill=1` it gets its signal, and after its grace all that it started is killed.
#[utoipa::path(post, path = "/scheduler/jobs/{id}/update", tag = "shell system",
    params(("id" = u64, Path, description = "The job's number."), Update), responses(
    (status = 200, description = "How it stands.", body = ref("#/components/schemas/Status"))))]
pub async fn update(
    State(api): State<Api>,
    InJob(job): InJob,
    Query(Update { kill }): Query<Update>,
) -> Result<Json<Status>, Failure> {
    if kill > 1 {
        let text = "`kill` after the `?`: it is `1` to end the job, or left out";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_query", text));
    }
    if kill == 1 {
        api.kill(job).await?;
    }
    api.status(job).await.map(Json)
}

/// The nodes that a job can be placed on.
///
/// Those that take work.
#[utoipa::path(get, path = "/scheduler/nodes/list", tag = "shell system", responses(
    (status = 200, description = "The nodes.", body = ref("#/components/schemas/NodeList"))))]
pub async fn nodes(State(api): State<Api>) -> Result<Json<NodeList>, Failure> {
    let mut nodes = Vec::new();
    for view in api.nodes().await? {
        if view.state == NodeState::Ready {
            let place = api.place_of(view.id);
            let ipv4 = addresses(&place.host).await;
            nodes.push(NodeEntry { name: view.name, ipv4, hostname: place.host, uri: place.uri });
        }
    }
    Ok(Json(NodeList { nodes }))
}

/// What a host's name stands for.
pub async fn addresses(host: &str) -> Vec<String> {
    let found = timeout(LOOKUP, lookup_host((host, 0))).await;
    let found = found.ok().and_then(Result::ok).into_iter().flatten();
    let mut found: Vec<String> =
        found.filter(SocketAddr::is_ipv4).map(|it| it.ip().to_string()).collect();
    found.dedup();
    found
}

impl Api {
    /// Ends a job.
    pub(super) async fn kill(&self, job: JobId) -> Result<(), Failure> {
        let cancel = Request::Cancel { what: Selection::job(job), now: false, reason: None };
        self.ask(cancel, |answer| matches!(answer, Answer::Done { .. }).then_some(())).await
    }
}
