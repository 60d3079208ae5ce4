//! Bodies are received whole before a handler sees them: in bounded memory and bounded time.

use std::error::Error;

use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;

use super::{Failure, Limits};

/// Hands the request on once its body is here, or answers that it was too large or too slow.
pub async fn receive(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let received = tokio::time::timeout(limits.body, body::to_bytes(body, limits.body_bytes));
    let failure = match received.await {
        Ok(Ok(bytes)) => return next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) if is_too_large(&error) => {
            let message = format!("the body has more than {} bytes", limits.body_bytes);
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
                .hint("send less at once")
        }
        Ok(Err(error)) => Failure::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            format!("the body could not be received: {error}"),
        ),
        Err(_) => {
            let message = format!("the body was not there within {} s", limits.body.as_secs_f64());
            Failure::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
        }
    };
    failure.into_response()
}

fn is_too_large(error: &axum::Error) -> bool {
    error.source().and_then(|source| source.downcast_ref::<LengthLimitError>()).is_some()
}
