//! What a task printed: as it is, or as events.

mod reader;
mod shown;
mod tail;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;

use self::reader::{Found, Reader};
use self::shown::{Stamps, event};
use super::events::KEEP_ALIVE;
use super::input::{InTask, Query};
use super::{Api, Failure};
use crate::processor::Stream;

/// Which part of a log, and how.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// The log of this attempt, from 1; if left out, that of the last one.
    attempt: Option<u32>,
    /// Only what was printed onto this stream.
    stream: Option<Stream>,
    /// From this place on: the number after the dot in the id of an event.
    from: Option<u64>,
    /// Only so many of the last lines, and what follows them.
    tail: Option<u32>,
    /// Goes on while the task runs. If no attempt is named, also with those that follow, until the
    /// task has ended.
    follow: bool,
    /// Begins each line with the time when it was read. Not for events, which have it anyway.
    timestamps: bool,
}

/// What a task printed.
///
/// The bytes as they are. With `accept: text/event-stream` as events: `piece` with `attempt`,
/// `stream`, `at`, and `text`, or `base64` where it is no text; `missing` where a part cannot be
/// had; and `end` after the last byte. Who comes back with `last-event-id` gets what follows.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks/{index}/log", tag = "tasks",
    params(("id" = u64, Path, description = "The job's number."),
        ("index" = u32, Path, description = "The task's index; 0 if the job is no array."),
        Reading),
    responses((status = 200, description = "The log.", content(
        (String = "text/plain"), (String = "application/octet-stream"),
        (String = "text/event-stream")))))]
pub async fn read(
    State(api): State<Api>,
    InTask(task): InTask,
    Query(mut reading): Query<Reading>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let place = api.place()?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let accepts = |kind: &str| accept.is_some_and(|accept| accept.contains(kind));
    if let Some(last) = headers.get("last-event-id") {
        let (attempt, from) = place_of(last.to_str().unwrap_or_default())?;
        let is_across = reading.attempt.is_none();
        reading = Reading { from: Some(from), attempt: Some(attempt), tail: None, ..reading };
        let reader = Reader::open(api, task, &reading, is_across).await?;
        return Ok(events(reader, place));
    }
    let is_across = reading.attempt.is_none();
    let reader = Reader::open(api, task, &reading, is_across).await?;
    if accepts("text/event-stream") {
        return Ok(events(reader, place));
    }
    let kind = if accepts("application/octet-stream") {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    };
    let stamps = reading.timestamps.then(Stamps::default);
    let bytes = stream::unfold((reader, stamps, place), async |(mut reader, mut stamps, place)| {
        let bytes = match reader.next().await? {
            Ok(Found::Pieces { pieces, .. }) => Ok(shown::bytes(pieces, stamps.as_mut())),
            Ok(Found::Missing { why, .. }) | Err(why) => Err(why),
            Ok(Found::End { .. }) => return None,
        };
        Some((bytes, (reader, stamps, place)))
    });
    let headers = [(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

fn events(reader: Reader, place: tokio::sync::OwnedSemaphorePermit) -> Response {
    let found = stream::unfold((reader, place), async |(mut reader, place)| {
        let events = match reader.next().await? {
            Ok(found) => event(found),
            Err(failure) => vec![shown::failure(&failure)],
        };
        Some((stream::iter(events.into_iter().map(Ok::<_, Infallible>)), (reader, place)))
    });
    let events = futures_util::StreamExt::flatten(found);
    // Boxed, because its future is not `Unpin`.
    Sse::new(Box::pin(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// The attempt and the place in its log that the id of an event is.
fn place_of(id: &str) -> Result<(u32, u64), Failure> {
    let parts = id.split_once('.');
    let parsed =
        parts.and_then(|(attempt, from)| Some((attempt.parse().ok()?, from.parse().ok()?)));
    parsed.ok_or_else(|| {
        let text = "`last-event-id` is no place in a log";
        Failure::new(StatusCode::BAD_REQUEST, "invalid_header", text)
            .hint("send the id of an event, or no such header")
    })
}
