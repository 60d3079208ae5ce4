//! What requests bring, read strictly: what is wrong is said, with where and why.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::Failure;
use super::failure::Wrong;
use crate::id::{InvalidId, JobId, TaskId};

/// What follows the `?`. A key may come several times where it is a list.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// The job in the path.
#[derive(Debug)]
pub struct InJob(pub JobId);

/// The task in the path.
#[derive(Debug)]
pub struct InTask(pub TaskId);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = parts.uri.query().unwrap_or_default();
        let form = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(form).map(Self).map_err(|error| {
            let (key, what) = (error.path().to_string(), error.inner().to_string());
            let text = format!("`{key}` after the `?`: {what}");
            let mut failure = Failure::new(StatusCode::BAD_REQUEST, "invalid_query", text);
            failure.problems.push(Wrong { key, what });
            failure
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            let text = "the body must be JSON, and say so";
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                text,
            )
            .hint("send `content-type: application/json`"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|why| unreceived(&why))?;
        // An array would be read as the fields in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            let text = "the body is not understood: it must be a JSON object";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut json);
        let read = read.map_err(|error| (error.path().to_string(), error.into_inner()));
        let read = read.and_then(|read| json.end().map(|()| read).map_err(|e| (".".to_owned(), e)));
        read.map(Self).map_err(|(key, error)| malformed(key, &error))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn unreceived(why: &BytesRejection) -> Failure {
    if why.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let text = format!("the body has more than {} bytes", super::MAX_BODY);
        return Failure::new(why.status(), "payload_too_large", text)
            .hint("put what is long into files, and name these");
    }
    let text = format!("the body could not be received: {why}");
    Failure::new(why.status(), "bad_request", text)
}

fn malformed(key: String, error: &serde_json::Error) -> Failure {
    if error.is_data() && key != "." {
        let what = without_place(error);
        let text = format!("`{key}`: {what}");
        let mut failure = Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text);
        failure.problems.push(Wrong { key, what });
        return failure;
    }
    let text = format!("the body is not understood: {error}");
    Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text)
}

/// What is wrong, without line and column: the key says where.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for InJob {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(job) = path::<String, S>(parts, state).await?;
        job.parse().map(Self).map_err(no_id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InTask {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path((job, index)) = path::<(String, String), S>(parts, state).await?;
        let job: JobId = job.parse().map_err(no_id)?;
        let index = index.parse().map_err(|_| {
            no_id(InvalidId {
                text: index.clone(),
                what: "index of a task",
                like: "a number, as `0`",
            })
        })?;
        Ok(Self(job.task(index)))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Path<T>, Failure> {
    Path::from_request_parts(parts, state)
        .await
        .map_err(|why| Failure::new(StatusCode::BAD_REQUEST, "invalid_path", why.body_text()))
}

fn no_id(error: InvalidId) -> Failure {
    let InvalidId { text, what, like } = error;
    let detail = format!("`{}` is no {what}: write {like}", text.escape_debug());
    Failure::new(StatusCode::BAD_REQUEST, "invalid_path", detail)
}
