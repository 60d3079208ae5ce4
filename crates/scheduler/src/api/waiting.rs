//! Requests that wait: for a bounded time, at a bounded number of places, and not for a node that
//! is stopping.

use std::time::Duration;

use axum::http::StatusCode;
use dx_agents::AskError;
use tokio::sync::OwnedSemaphorePermit;

use super::{Api, Failure, MAX_WAITING};
use crate::client::{Answer, JobView, Request, WATCH_FOR};
use crate::id::JobId;

/// The longest that a question waits for something to happen before it is asked anew. A controller
/// that lives has answered before.
const PATIENCE: Duration = WATCH_FOR.saturating_add(Duration::from_secs(5));

/// What came of watching.
#[derive(Debug)]
pub enum Seen {
    /// Nothing, for as long as was waited.
    Nothing,
    /// Some job changed.
    Change,
    /// The job that was watched changed, and is this now.
    Job(Box<JobView>),
}

impl Api {
    /// A place to wait at; given back when dropped.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.0.places.clone().try_acquire_owned().map_err(|_| {
            let text = format!("{MAX_WAITING} requests wait at this node already");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_waiting", text)
                .hint("ask another node, or end some of those that follow or wait")
        })
    }

    /// A place to wait at, if more than so many are free.
    pub(super) fn place_beside(&self, free: usize) -> Option<OwnedSemaphorePermit> {
        let has_more = self.0.places.available_permits() > free;
        has_more.then(|| self.0.places.clone().try_acquire_owned().ok()).flatten()
    }

    /// Waits until what is watched is beyond `since`, for no longer than `within`.
    pub(super) async fn watch(
        &self,
        job: Option<JobId>,
        since: u64,
        within: Duration,
    ) -> Result<Seen, Failure> {
        let request = Request::Watch { job, since };
        let within = within.min(PATIENCE);
        let asked = tokio::select! {
            asked = self.ask_within(&request, within) => asked,
            () = self.stopping() => return Err(is_stopping()),
        };
        match asked {
            Err(AskError::Timeout) => Ok(Seen::Nothing),
            Err(why) => Err(self.silent(self.0.controller, "controller", why)),
            Ok(answer) => Self::seen(answer, since),
        }
    }

    fn seen(answer: Result<Answer, String>, since: u64) -> Result<Seen, Failure> {
        Ok(match super::asking::accept(answer)? {
            Answer::Changed { job: Some(job), .. } if job.version > since => Seen::Job(job),
            Answer::Changed { job: None, version } if version > since => Seen::Change,
            Answer::Changed { .. } => Seen::Nothing,
            _ => return Err(super::asking::unreadable("it answers another question")),
        })
    }

    /// Whether the node is to stop.
    pub(super) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Ready when the node is to stop.
    pub(super) async fn stopping(&self) {
        // A sender that was dropped says the same.
        let _ = self.0.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// What those get who wait at a node that stops.
pub fn is_stopping() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the node is stopping")
        .hint("ask another node")
}
