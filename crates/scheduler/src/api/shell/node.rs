//! `/nodemgr` and `/processor`: what one node runs. That is the node that is asked, or any other by
//! its name.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::order::{self, Order};
use super::queue::{addresses, taken};
use super::status::{Status, Statuses};
use crate::api::input::{InJob, InTask, Query};
use crate::api::log::{self, Reading};
use crate::api::{Api, Caller, Failure};
use crate::client::{JobQuery, JobView, MAX_PAGE, NodeView};
use crate::id::JobId;
use crate::job::{Constraint, Operator};

/// The label of a job that was given to a node: the node's name.
const NODE: &str = "node";

/// The label of a job that another scheduler gave to a node: what it calls it.
const NUMBER: &str = "schedulerjob-idx";

/// What to run, and where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Running {
    /// What the caller calls the job; its own number if left out.
    #[serde(rename = "job-number")]
    job_number: Option<String>,
    /// The job, if it is not the body.
    json_data: Option<String>,
    /// The name or number of a node; that which is asked if left out.
    node: Option<String>,
}

/// Which node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnNode {
    /// Its name or number; that which is asked if left out.
    node: Option<String>,
}

/// Jobs of a node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeJobs {
    /// Newest first.
    nodejobs: Vec<NodeJob>,
}

/// A job of a node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeJob {
    /// Its number.
    #[serde(rename = "nodejob-idx")]
    number: String,
    /// What the scheduler calls it that sent it.
    #[serde(rename = "schedulerjob-idx")]
    job_number: String,
    /// The node's host.
    hostname: String,
    /// What its name stands for; nothing if that is not known here.
    ipv4: Vec<String>,
}

/// Run a job on one node.
///
/// On no other: it waits if there is no room.
#[utoipa::path(post, path = "/nodemgr/jobs/run", tag = "shell system", params(Running),
    request_body = ref("#/components/schemas/NewJob"), responses(
    (status = 200, description = "It is taken.", body = ref("#/components/schemas/NodeJobs"))))]
pub async fn run(
    State(api): State<Api>,
    caller: Caller,
    Query(Running { job_number, json_data, node }): Query<Running>,
    body: Bytes,
) -> Result<Json<NodeJobs>, Failure> {
    let sent = json_data.filter(|it| !it.is_empty()).map(Bytes::from);
    let mut order = Order::read(order::needed(sent.as_ref().unwrap_or(&body))?)?;
    let node = api.chosen(node.as_deref()).await?;
    bind(&mut order, &node);
    if let Some(number) = &job_number {
        order.spec.labels.insert(NUMBER.to_owned(), number.clone());
    }
    let submitted = order.submit(&api, caller.name).await?;
    let number = submitted.job.to_string();
    let job_number = job_number.unwrap_or_else(|| number.clone());
    let host = api.place_of(node.id).host;
    let ipv4 = addresses(&host).await;
    let job = NodeJob { number, job_number, hostname: host, ipv4 };
    Ok(Json(NodeJobs { nodejobs: vec![job] }))
}

/// The jobs of one node.
///
/// Those that were given to it, and those that run there: the newest 1000 of each.
#[utoipa::path(get, path = "/nodemgr/jobs", tag = "shell system", params(OnNode), responses(
    (status = 200, description = "The jobs.", body = ref("#/components/schemas/NodeJobs"))))]
pub async fn list(
    State(api): State<Api>,
    Query(OnNode { node }): Query<OnNode>,
) -> Result<Json<NodeJobs>, Failure> {
    let node = api.chosen(node.as_deref()).await?;
    let host = api.place_of(node.id).host;
    let ipv4 = addresses(&host).await;
    let entry = |job: JobView| {
        let number = job.id.to_string();
        let job_number = job.labels.get(NUMBER).unwrap_or(&number).clone();
        NodeJob { number, job_number, hostname: host.clone(), ipv4: ipv4.clone() }
    };
    let jobs = api.jobs_of(&node).await?;
    Ok(Json(NodeJobs { nodejobs: jobs.into_iter().map(entry).collect() }))
}

/// How a job of a node stands.
#[utoipa::path(get, path = "/nodemgr/jobs/{id}/status", tag = "shell system",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "How it stands.", body = ref("#/components/schemas/Status"))))]
pub async fn status(State(api): State<Api>, InJob(job): InJob) -> Result<Json<Status>, Failure> {
    api.status(job).await.map(Json)
}

/// End a job of a node.
#[utoipa::path(post, path = "/nodemgr/jobs/{id}/kill", tag = "shell system",
    params(("id" = u64, Path, description = "The job's number.")), responses(
    (status = 200, description = "How it stands.", body = ref("#/components/schemas/Status"))))]
pub async fn kill(State(api): State<Api>, InJob(job): InJob) -> Result<Json<Status>, Failure> {
    api.kill(job).await?;
    api.status(job).await.map(Json)
}

/// Submit a job to one node's processor.
///
/// The answer is what was sent, with a `request_id` if there was none, and the job's number.
#[utoipa::path(post, path = "/processor/jobs/new", tag = "shell system", params(OnNode),
    request_body = ref("#/components/schemas/NewJob"), responses(
    (status = 201, description = "It is taken.", body = Object),
    (status = 200, description = "It was taken already.", body = Object)))]
pub async fn add(
    State(api): State<Api>,
    caller: Caller,
    Query(OnNode { node }): Query<OnNode>,
    body: Bytes,
) -> Result<Response, Failure> {
    let mut order = Order::read(order::needed(&body)?)?;
    bind(&mut order, &api.chosen(node.as_deref()).await?);
    taken(&api, caller, order).await
}

/// How the jobs of one node stand.
///
/// Those that were given to it, and those that run there: the newest 1000 of each.
#[utoipa::path(get, path = "/processor/jobs/status", tag = "shell system", params(OnNode),
    responses((status = 200, description = "How they stand.",
        body = ref("#/components/schemas/Statuses"))))]
pub async fn statuses(
    State(api): State<Api>,
    Query(OnNode { node }): Query<OnNode>,
) -> Result<Json<Statuses>, Failure> {
    let node = api.chosen(node.as_deref()).await?;
    let mut jobs = Vec::new();
    for job in api.jobs_of(&node).await? {
        jobs.push(api.named_status(&job).await?);
    }
    Ok(Json(Statuses { jobs }))
}

/// How the job of a request stands.
#[utoipa::path(get, path = "/processor/jobs/{id}/status", tag = "shell system",
    params(("id" = String, Path, description = "The `request_id`, or else the job's number.")),
    responses((status = 200, description = "How it stands.",
        body = ref("#/components/schemas/Status"))))]
pub async fn status_of_request(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Status>, Failure> {
    let job = api.requested(&id).await?;
    api.status(job).await.map(Json)
}

/// What the job of a request printed.
///
/// Of an array, its first task.
#[utoipa::path(get, path = "/processor/jobs/{id}/log", tag = "shell system",
    params(("id" = String, Path, description = "The `request_id`, or else the job's number."),
        Reading),
    responses((status = 200, description = "The log.", content((String = "text/plain"),
        (String = "application/octet-stream"), (String = "text/event-stream")))))]
pub async fn log(
    state: State<Api>,
    Path(id): Path<String>,
    reading: Query<Reading>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let task = state.requested(&id).await?.task(0);
    log::read(state, InTask(task), reading, headers).await
}

/// End the job of a request.
#[utoipa::path(post, path = "/processor/jobs/{id}/kill", tag = "shell system",
    params(("id" = String, Path, description = "The `request_id`, or else the job's number.")),
    responses((status = 200, description = "How it stands.",
        body = ref("#/components/schemas/Status"))))]
pub async fn kill_request(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Status>, Failure> {
    let job = api.requested(&id).await?;
    api.kill(job).await?;
    api.status(job).await.map(Json)
}

/// Lets what was ordered run on this node alone.
fn bind(order: &mut Order, node: &NodeView) {
    let value = node.name.clone();
    order.spec.labels.insert(NODE.to_owned(), value.clone());
    let here = Constraint { label: NODE.to_owned(), operator: Operator::Eq, value };
    order.spec.constraints.push(here);
}

impl Api {
    /// The node that is named, or else this one.
    async fn chosen(&self, named: Option<&str>) -> Result<NodeView, Failure> {
        match named {
            Some(name) => self.node(name).await,
            None => self.node(&self.own_name()).await,
        }
    }

    /// Jobs that were given to a node, or run there, newest first.
    async fn jobs_of(&self, node: &NodeView) -> Result<Vec<JobView>, Failure> {
        let newest = JobQuery { limit: Some(MAX_PAGE), ..JobQuery::default() };
        let given = JobQuery { labels: vec![format!("{NODE}={}", node.name)], ..newest.clone() };
        let runs = JobQuery { node: Some(node.id), ..newest };
        let mut jobs = BTreeMap::new();
        for query in [given, runs] {
            let page = self.page(query).await?;
            jobs.extend(page.jobs.into_iter().map(|job| (job.id, job)));
        }
        Ok(jobs.into_values().rev().collect())
    }

    /// The newest job that was sent with this id, or else the one of this number.
    async fn requested(&self, id: &str) -> Result<JobId, Failure> {
        let query =
            JobQuery { request_id: Some(id.to_owned()), limit: Some(1), ..JobQuery::default() };
        if let Some(job) = self.page(query).await?.jobs.first() {
            return Ok(job.id);
        }
        id.parse().map_err(|_| {
            let text = format!("no job was sent with the id `{}`", id.escape_debug());
            Failure::new(StatusCode::NOT_FOUND, "no_such_job", text)
                .hint("GET /processor/jobs/status lists those of this node")
        })
    }
}
