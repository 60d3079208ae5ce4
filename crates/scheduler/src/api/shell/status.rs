//! How a job stands, in the two words of the shell system.

use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{Api, Failure};
use crate::client::{Answer, JobView, Motion, Request, TaskQuery, Verdict};
use crate::id::JobId;

/// How a job stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Whether a process of it may live.
    state: Motion,
    /// How it went.
    #[serde(rename = "status")]
    verdict: Verdict,
    /// The name of the node that has, or had, its last attempt; of an array, that of its first
    /// task. Null before there is one.
    node: Option<String>,
    /// When it was submitted, as `2024-05-01T12:00:00.000Z`.
    #[serde(rename = "created-at")]
    #[schemars(with = "String")]
    created_at: String,
}

/// How several jobs stand.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Statuses {
    /// Newest first.
    pub jobs: Vec<StatusOf>,
}

/// How one of them does.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusOf {
    /// The id with which it was sent, or else its number.
    request_id: String,
    /// Its number.
    #[serde(rename = "schedulerjob-idx")]
    number: String,
    #[serde(flatten)]
    status: Status,
}

impl Api {
    /// How a job stands.
    pub(super) async fn status(&self, job: JobId) -> Result<Status, Failure> {
        let view = self.job(job).await?;
        self.status_of(&view).await
    }

    pub(super) async fn named_status(&self, view: &JobView) -> Result<StatusOf, Failure> {
        let number = view.id.to_string();
        let request_id = view.request_id.clone().unwrap_or_else(|| number.clone());
        Ok(StatusOf { request_id, number, status: self.status_of(view).await? })
    }

    async fn status_of(&self, view: &JobView) -> Result<Status, Failure> {
        let query = TaskQuery { job: view.id, from: 0, limit: Some(1), states: Vec::new() };
        let first = self.ask(Request::Tasks(query), |answer| match answer {
            Answer::Tasks { tasks, .. } => Some(tasks.into_iter().next()),
            _ => None,
        });
        let attempt = first.await?.and_then(|mut task| task.attempts.pop());
        let created = UNIX_EPOCH + Duration::from_millis(view.submitted);
        Ok(Status {
            state: view.pair.state,
            verdict: view.pair.status,
            node: attempt.map(|attempt| attempt.node_name),
            created_at: humantime::format_rfc3339_millis(created).to_string(),
        })
    }
}
