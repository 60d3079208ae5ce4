//! The one shape of all answers that are no success.

use std::fmt;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};

/// The longest explanation that is taken over from a handler's plain text, in bytes.
const MAX_TEXT: usize = 4 * 1024;

/// Why a request was not done: `{"code": ..., "message": ..., "hint": ...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The status of the answer. It travels in front of the body.
    #[serde(skip)]
    pub status: StatusCode,
    /// For programs: stable, lower case, with underscores.
    pub code: String,
    /// For people: what happened, to what.
    #[serde(alias = "detail")]
    pub message: String,
    /// What to do about it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, ": {hint}"))
    }
}

impl std::error::Error for Failure {}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// Gives failures that the router itself answers, such as an unknown path or a body that is no
/// JSON, the shape of all others.
pub async fn explain(request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = text(body).await;
    let failure = of_status(status, &asked, &text);
    // They describe the body that is replaced; others, like `allow`, go on.
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts.headers, failure).into_response()
}

async fn text(body: Body) -> String {
    let collected = Limited::new(body, MAX_TEXT).collect().await;
    // An explanation that is too long or breaks off is none; the status remains.
    let bytes = collected.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn of_status(status: StatusCode, asked: &str, text: &str) -> Failure {
    let reason = status.canonical_reason().unwrap_or("failed").to_lowercase();
    let code = reason.replace([' ', '-'], "_");
    let message = match status {
        StatusCode::NOT_FOUND => format!("nothing answers {asked}"),
        StatusCode::METHOD_NOT_ALLOWED => format!("{asked} is not possible"),
        _ if text.is_empty() => format!("{asked}: {reason}"),
        _ => text.to_owned(),
    };
    let failure = Failure::new(status, &code, message);
    match status {
        StatusCode::NOT_FOUND => failure
            .hint("check the path, and by GET /v1/version whether the node is as new as you are"),
        StatusCode::METHOD_NOT_ALLOWED => failure.hint("the header `allow` lists what is"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => failure.hint("send `content-type: application/json`"),
        _ => failure,
    }
}
