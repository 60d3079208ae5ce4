//! Changes of jobs as they happen: server-sent events.
//!
//! Each event is a job as it was at that moment, and its id the version of that change: who comes
//! back with the last id it saw gets all that has changed since. Changes that follow each other
//! closely are one event. *Invariant:* ids grow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::input::{InJob, Query};
use super::waiting::Seen;
use super::{Api, Failure};
use crate::client::{JobQuery, JobView};
use crate::id::JobId;

/// How often a stream on which nothing happens says that it is alive: often enough for proxies,
/// which give up after a minute or half of that.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The shortest time between two looks at what changed: no person sees more, and a controller that
/// ends thousands of tasks a second is not asked after each. A guess.
const PAUSE: Duration = Duration::from_millis(100);

/// From where on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Since {
    /// The id of the last event that was seen; the header `last-event-id` says the same. Without
    /// either, jobs are told as they are first.
    since: Option<u64>,
}

/// Changes of all jobs.
///
/// Server-sent events `job`, with the job as data and the version as id.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Since), responses(
    (status = 200, description = "A stream of jobs.", content_type = "text/event-stream",
        body = String)))]
pub async fn of_all(
    State(api): State<Api>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let since = since.or(&headers)?;
    let place = api.place()?;
    // Asked once before the answer begins: a silent controller is a status, and no empty stream.
    let first = api.changed(since).await?;
    let mut changes =
        Changes { api, job: None, since, told: VecDeque::new(), is_over: false, place };
    changes.tell(first);
    Ok(answer(changes))
}

/// Changes of one job.
///
/// The stream ends when the job has ended.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "events",
    params(("id" = u64, Path, description = "The job's number."), Since), responses(
    (status = 200, description = "A stream of the job.", content_type = "text/event-stream",
        body = String)))]
pub async fn of_job(
    State(api): State<Api>,
    InJob(job): InJob,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let since = since.or(&headers)?;
    let place = api.place()?;
    let first = api.job(job).await?;
    let told = VecDeque::new();
    let mut changes = Changes { api, job: Some(job), since, told, is_over: false, place };
    changes.is_over = first.ended.is_some();
    if first.version > since {
        changes.tell((first.version, vec![first]));
    }
    Ok(answer(changes))
}

impl Since {
    fn or(&self, headers: &HeaderMap) -> Result<u64, Failure> {
        let Some(last) = headers.get("last-event-id") else { return Ok(self.since.unwrap_or(0)) };
        let version = last.to_str().ok().and_then(|last| last.parse().ok());
        version.ok_or_else(|| {
            let text = "`last-event-id` is no version";
            Failure::new(StatusCode::BAD_REQUEST, "invalid_header", text)
                .hint("send the id of an event, or no such header")
        })
    }
}

fn answer(changes: Changes) -> Response {
    let events = stream::unfold(changes, async |mut changes| {
        let event = changes.next().await?;
        Some((Ok::<_, Infallible>(event), changes))
    });
    // Boxed, because its future is not `Unpin`.
    Sse::new(Box::pin(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Where a stream of changes is.
struct Changes {
    api: Api,
    job: Option<JobId>,
    since: u64,
    told: VecDeque<JobView>,
    is_over: bool,
    /// Its place among those that wait.
    #[expect(dead_code, reason = "it is held, and given back when dropped")]
    place: OwnedSemaphorePermit,
}

impl Changes {
    /// The next event; none where the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(job) = self.told.pop_front() {
                return Some(event(&job));
            }
            if self.is_over {
                return None;
            }
            if let Err(failure) = self.look().await {
                self.is_over = true;
                let data = serde_json::to_string(&failure).expect("it has text keys only");
                return Some(Event::default().event("failure").data(data));
            }
        }
    }

    /// Waits for what comes next.
    async fn look(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(PAUSE).await;
        match (self.job, self.api.watch(self.job, self.since, Duration::MAX).await?) {
            (Some(_), Seen::Job(job)) => {
                self.is_over = job.ended.is_some();
                self.tell((job.version, vec![*job]));
            }
            // Nothing happened, or nobody would have said so.
            (Some(job), _) => drop(self.api.job(job).await?),
            (None, _) => {
                let changed = self.api.changed(self.since).await?;
                self.tell(changed);
            }
        }
        Ok(())
    }

    fn tell(&mut self, (version, jobs): (u64, Vec<JobView>)) {
        self.since = self.since.max(version);
        self.told.extend(jobs);
    }
}

impl Api {
    /// The jobs that changed beyond `since` up to the version that is returned with them, in the
    /// order of their changes.
    async fn changed(&self, since: u64) -> Result<(u64, Vec<JobView>), Failure> {
        let (mut all, mut before, mut version) = (Vec::new(), None, None);
        loop {
            let query = JobQuery { before, since: Some(since), ..JobQuery::default() };
            let page = self.page(query).await?;
            // What changes while pages are read is for the next look: ids would not grow else.
            let upto = *version.get_or_insert(page.version);
            all.extend(page.jobs.into_iter().filter(|job| job.version <= upto));
            before = page.next;
            if before.is_none() {
                all.sort_by_key(|job| (job.version, job.id));
                return Ok((upto, all));
            }
        }
    }
}

fn event(job: &JobView) -> Event {
    let data = serde_json::to_string(job).expect("it has text keys only");
    Event::default().event("job").id(job.version.to_string()).data(data)
}
