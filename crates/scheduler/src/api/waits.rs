//! A task that waits for jobs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::input::{Body, Query};
use super::waiting::Seen;
use super::{Api, Failure, MAX_WAITING};
use crate::client::{Answer, Request, WATCH_FOR};
use crate::core::MAX_WAITED;
use crate::id::{AttemptId, InvalidId, JobId};
use crate::job::Span;

/// The least time between two looks at a job that changes all the time.
const PACE: Duration = Duration::from_millis(50);

/// What a task waits for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForJobs {
    /// The attempt that waits, as `7.0#2`.
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+#[0-9]+$"))]
    caller: String,
    /// For these jobs.
    #[schemars(length(max = MAX_WAITED))]
    jobs: Vec<JobId>,
    /// It waits for these no longer, though they may go on.
    #[serde(default)]
    leave: bool,
}

/// How long to wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patience {
    /// For how long at most the answer may take; `20s` if left out, and never longer.
    wait: Option<Span>,
}

/// Whether a wait is over.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaitStands {
    /// All jobs have ended, or are left, and the task has its processors and gpus. If not, ask again:
    /// what does not for a minute has them back all the same.
    pub is_over: bool,
}

/// Wait for jobs, in a task.
///
/// Until that is over, the task is `blocked`: its processors and gpus are for others, so that what it
/// waits for can run. Ask again, with the same, until it is over; where many wait, an answer may come at
/// once.
#[utoipa::path(post, path = "/v1/waits", tag = "tasks", params(Patience),
    request_body = ref("#/components/schemas/WaitForJobs"), responses(
    (status = 200, description = "How the wait stands.",
        body = ref("#/components/schemas/WaitStands"))))]
pub async fn wait(
    State(api): State<Api>,
    Query(Patience { wait }): Query<Patience>,
    Body(WaitForJobs { caller, jobs, leave }): Body<WaitForJobs>,
) -> Result<Json<WaitStands>, Failure> {
    let caller: AttemptId = caller.parse().map_err(|why: InvalidId| {
        Failure::new(StatusCode::BAD_REQUEST, "invalid_body", format!("`caller`: {why}"))
    })?;
    let until = Instant::now() + wait.map_or(WATCH_FOR, |wait| wait.0.min(WATCH_FOR));
    let request = Request::Wait { caller, jobs, leave };
    // Half of the places are for others: of tasks that wait there may be many.
    let place = api.place_beside(MAX_WAITING / 2);
    loop {
        let stands = api.ask(request.clone(), |answer| match answer {
            Answer::Waits { is_over, watch } => Some((is_over, watch)),
            _ => None,
        });
        let (is_over, watch) = stands.await?;
        let is_more = match watch {
            Some((job, seen)) if !is_over && place.is_some() => {
                api.turned(job, seen, job == caller.task.job, until).await?
            }
            _ => false,
        };
        if !is_more {
            return Ok(Json(WaitStands { is_over }));
        }
    }
}

impl Api {
    /// Waits until a job has ended, or changes in any way if that is wanted; false if it did not in time.
    async fn turned(
        &self,
        job: JobId,
        mut seen: u64,
        in_any_way: bool,
        until: Instant,
    ) -> Result<bool, Failure> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if let Seen::Job(view) = self.watch(Some(job), seen, left).await? {
                if view.ended.is_some() {
                    return Ok(true);
                }
                sleep(PACE).await;
                if in_any_way {
                    return Ok(true);
                }
                seen = view.version;
            }
        }
    }
}
