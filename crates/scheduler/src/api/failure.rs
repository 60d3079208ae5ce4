//! The one shape of all answers that are no success: RFC 9457.

use std::fmt;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a body that is a [`Failure`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The longest explanation that is taken over from a handler's plain text, in bytes.
const MAX_TEXT: usize = 4 * 1024;

/// When a client whom there was no room for may come again, in seconds: long enough for a place to
/// become free, short enough not to be noticed. A guess.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not done: `{"status": 404, "code": "no_such_job", "detail": ..., "hint": ...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The status of the answer.
    #[serde(with = "number")]
    #[schemars(with = "u16")]
    pub status: StatusCode,
    /// For programs: stable, lower case, with underscores.
    pub code: String,
    /// For people: what happened, to what.
    #[serde(rename = "detail")]
    pub message: String,
    /// What to do about it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Each thing that is wrong with what was sent, if it is that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Wrong>,
}

/// Something that is wrong with what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wrong {
    /// Where, as `retry.max_attempts`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, message, hint: None, problems: Vec::new() }
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
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match status {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            _ => {}
        }
        response
    }
}

/// Gives failures that the router itself answers, such as an unknown path or a method that is not
/// there, the shape of all others.
pub async fn explain(request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let is_said = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/json") || kind == MEDIA_TYPE.as_bytes()
    });
    if is_said || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = text(body).await;
    let failure = of_status(status, &asked, &text);
    // They describe the body that is replaced; others, like `allow`, go on.
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut answer = failure.into_response();
    for (name, value) in &parts.headers {
        answer.headers_mut().insert(name, value.clone());
    }
    answer
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

/// A status as its number.
mod number {
    use axum::http::StatusCode;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called by serde")]
    pub fn serialize<S: Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(status.as_u16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(from)?).map_err(D::Error::custom)
    }
}
