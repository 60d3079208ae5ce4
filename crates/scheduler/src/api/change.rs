//! Changes to jobs and tasks that were submitted.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Wrong;
use super::input::Body;
use super::{Api, Failure};
use crate::client::{Answer, Part, Request, Selection};
use crate::end::TaskState;

/// The most selections in one request; a range is one. A guess.
const MAX_SELECTED: usize = 1_000;

/// What selects jobs and tasks.
const SELECTION: &str = r"^([0-9]+(-[0-9]+)?|[0-9]+\.[0-9]+(-[0-9]+)?|last|@[^=]+(=.*)?)$";

/// What to cancel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelTasks {
    /// Which jobs and tasks: `7`, `7.3`, `7.0-99`, `1-5`, `last`, `@label=value`.
    #[schemars(length(min = 1, max = MAX_SELECTED), inner(regex(pattern = SELECTION)))]
    what: Vec<String>,
    /// Of these only tasks in these states; all if there is none.
    #[serde(default)]
    states: Vec<TaskState>,
    /// Without grace.
    #[serde(default)]
    now: bool,
    /// For the record.
    #[serde(default)]
    reason: Option<String>,
}

/// What to run again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryTasks {
    /// Which jobs and tasks: `7`, `7.3`, `7.0-99`, `1-5`, `last`, `@label=value`.
    #[schemars(length(min = 1, max = MAX_SELECTED), inner(regex(pattern = SELECTION)))]
    what: Vec<String>,
    /// Of these only tasks in these states; all if there is none.
    #[serde(default)]
    states: Vec<TaskState>,
    /// Also those that succeeded or were skipped.
    #[serde(default)]
    all: bool,
}

/// What to hold, or to release.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectTasks {
    /// Which jobs and tasks: `7`, `7.3`, `7.0-99`, `1-5`, `last`, `@label=value`.
    #[schemars(length(min = 1, max = MAX_SELECTED), inner(regex(pattern = SELECTION)))]
    what: Vec<String>,
    /// Of these only tasks in these states; all if there is none.
    #[serde(default)]
    states: Vec<TaskState>,
}

/// What goes before what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrioritizeJobs {
    /// Which jobs: `7`, `1-5`, `last`, `@label=value`.
    #[schemars(length(min = 1, max = MAX_SELECTED), inner(regex(pattern = SELECTION)))]
    what: Vec<String>,
    /// Higher goes first.
    priority: i32,
}

/// What to remove.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveJobs {
    /// Which jobs: `7`, `1-5`, `last`, `@label=value`.
    #[schemars(length(min = 1, max = MAX_SELECTED), inner(regex(pattern = SELECTION)))]
    what: Vec<String>,
    /// Also jobs that have not ended, after they are cancelled.
    #[serde(default)]
    force: bool,
}

/// It is done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// To so many tasks, or jobs where jobs are removed.
    pub changed: u64,
}

type Done = Result<Json<Changed>, Failure>;

/// End tasks.
///
/// Those that wait never run; those that run get the job's signal, and after its grace are killed.
#[utoipa::path(post, path = "/v1/cancel", tag = "changes",
    request_body = ref("#/components/schemas/CancelTasks"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn cancel(
    State(api): State<Api>,
    Body(CancelTasks { what, states, now, reason }): Body<CancelTasks>,
) -> Done {
    let what = selection(&what, states)?;
    api.change(Request::Cancel { what, now, reason }).await
}

/// Run tasks again that have ended.
///
/// Those that did not succeed; all, if asked to.
#[utoipa::path(post, path = "/v1/retry", tag = "changes",
    request_body = ref("#/components/schemas/RetryTasks"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn retry(
    State(api): State<Api>,
    Body(RetryTasks { what, states, all }): Body<RetryTasks>,
) -> Done {
    api.change(Request::Retry { what: selection(&what, states)?, all }).await
}

/// Keep tasks that wait from running.
#[utoipa::path(post, path = "/v1/hold", tag = "changes",
    request_body = ref("#/components/schemas/SelectTasks"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn hold(
    State(api): State<Api>,
    Body(SelectTasks { what, states }): Body<SelectTasks>,
) -> Done {
    api.change(Request::Hold(selection(&what, states)?)).await
}

/// Let tasks run that are held.
#[utoipa::path(post, path = "/v1/release", tag = "changes",
    request_body = ref("#/components/schemas/SelectTasks"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn release(
    State(api): State<Api>,
    Body(SelectTasks { what, states }): Body<SelectTasks>,
) -> Done {
    api.change(Request::Release(selection(&what, states)?)).await
}

/// Change the priority of jobs.
#[utoipa::path(post, path = "/v1/priority", tag = "changes",
    request_body = ref("#/components/schemas/PrioritizeJobs"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn priority(
    State(api): State<Api>,
    Body(PrioritizeJobs { what, priority }): Body<PrioritizeJobs>,
) -> Done {
    api.change(Request::Priority(selection(&what, Vec::new())?, priority)).await
}

/// Remove jobs that have ended.
///
/// With their logs.
#[utoipa::path(post, path = "/v1/remove", tag = "changes",
    request_body = ref("#/components/schemas/RemoveJobs"), responses(
    (status = 200, description = "It is done.", body = ref("#/components/schemas/Changed"))))]
pub async fn remove(
    State(api): State<Api>,
    Body(RemoveJobs { what, force }): Body<RemoveJobs>,
) -> Done {
    api.change(Request::Remove { what: selection(&what, Vec::new())?, force }).await
}

impl Api {
    async fn change(&self, request: Request) -> Done {
        let changed = self.ask(request, |answer| match answer {
            Answer::Done { changed } => Some(Json(Changed { changed })),
            _ => None,
        });
        changed.await
    }
}

/// What the texts select; everything that is wrong with them at once.
fn selection(what: &[String], states: Vec<TaskState>) -> Result<Selection, Failure> {
    let invalid = |text: String| Failure::new(StatusCode::BAD_REQUEST, "invalid_selection", text);
    if what.is_empty() {
        return Err(invalid("`what` is empty: nothing is selected".to_owned())
            .hint("name jobs or tasks: `7`, `7.3`, `1-5`, `last` or `@label=value`"));
    }
    if what.len() > MAX_SELECTED {
        return Err(invalid(format!("`what` has {} parts; {MAX_SELECTED} is most", what.len()))
            .hint("select by ranges or labels"));
    }
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    for (at, text) in what.iter().enumerate() {
        match text.parse::<Part>() {
            Ok(part) => parts.push(part),
            Err(why) => problems.push(Wrong { key: format!("what.{at}"), what: why.to_string() }),
        }
    }
    match problems.first() {
        None => Ok(Selection { parts, states }),
        Some(first) => Err(Failure { problems: problems.clone(), ..invalid(first.what.clone()) }),
    }
}
