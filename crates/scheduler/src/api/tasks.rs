//! Tasks: listed, shown, explained.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{InJob, InTask, Query};
use super::{Api, Failure};
use crate::client::{Answer, Explanation, Request, TaskQuery, TaskView};
use crate::end::TaskState;
use crate::id::TaskId;

/// Which tasks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskListing {
    /// From this index on: the `next` of an earlier page.
    from: u32,
    /// At most so many; 1000 if left out, and never more.
    limit: Option<u32>,
    /// Only in this state; several times for any of them.
    state: Vec<TaskState>,
}

/// A page of tasks, by index.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// What `from` of the next page is; none on the last.
    pub next: Option<u32>,
}

/// The tasks of a job, by index.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks", tag = "tasks",
    params(("id" = u64, Path, description = "The job's number."), TaskListing), responses(
    (status = 200, description = "A page of them.", body = ref("#/components/schemas/TaskPage"))))]
pub async fn list(
    State(api): State<Api>,
    InJob(job): InJob,
    Query(TaskListing { from, limit, state }): Query<TaskListing>,
) -> Result<Json<TaskPage>, Failure> {
    let query = TaskQuery { job, from, limit, states: state };
    let page = api.ask(Request::Tasks(query), |answer| match answer {
        Answer::Tasks { tasks, next } => Some(Json(TaskPage { tasks, next })),
        _ => None,
    });
    page.await
}

/// One task, with its attempts.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks/{index}", tag = "tasks",
    params(("id" = u64, Path, description = "The job's number."),
        ("index" = u32, Path, description = "The task's index; 0 if the job is no array.")),
    responses((status = 200, description = "The task.",
        body = ref("#/components/schemas/TaskView"))))]
pub async fn show(State(api): State<Api>, InTask(task): InTask) -> Result<Json<TaskView>, Failure> {
    api.task(task).await.map(Json)
}

/// What happened to a task.
///
/// And why it does not run, if it does not.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks/{index}/explain", tag = "tasks",
    params(("id" = u64, Path, description = "The job's number."),
        ("index" = u32, Path, description = "The task's index; 0 if the job is no array.")),
    responses((status = 200, description = "The explanation.",
        body = ref("#/components/schemas/Explanation"))))]
pub async fn explain(
    State(api): State<Api>,
    InTask(task): InTask,
) -> Result<Json<Explanation>, Failure> {
    let explained = api.ask(Request::Explain(task), |answer| match answer {
        Answer::Explained(explanation) => Some(Json(*explanation)),
        _ => None,
    });
    explained.await
}

impl Api {
    pub(super) async fn task(&self, task: TaskId) -> Result<TaskView, Failure> {
        let view = self.ask(Request::Task(task), |answer| match answer {
            Answer::Task(view) => Some(*view),
            _ => None,
        });
        view.await
    }
}
