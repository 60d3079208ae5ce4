//! Who asks, and what they may.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Failure;

/// Whoever serves the router says with each request who asks: by an extension of this type.
/// *Invariant:* a request without one is answered with nothing but `401`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What jobs are submitted as: the user's name, or that of a token.
    pub name: String,
    /// What they may.
    pub scope: Scope,
}

/// What somebody may do. Each includes those before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See jobs, logs and nodes. Also what jobs have in their environment.
    Read,
    /// Submit jobs, which is to run anything on every node as the user who runs it; and steer them.
    Submit,
    /// Drain nodes.
    Admin,
}

impl Scope {
    /// Its name in requests and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Admin => "admin",
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            let text = "nobody knows who asks";
            Failure::new(StatusCode::UNAUTHORIZED, "no_token", text)
                .hint("send `authorization: Bearer TOKEN`")
        })
    }
}

/// Lets requests through whose caller has at least this scope.
pub async fn require(
    State(least): State<Scope>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if caller.scope >= least {
        return Ok(next.run(request).await);
    }
    let (name, has, needs) = (&caller.name, caller.scope.name(), least.name());
    let text = format!("`{name}` may {has}, and this needs the scope {needs}");
    Err(Failure::new(StatusCode::FORBIDDEN, "scope_too_small", text)
        .hint(format!("use a token of scope {needs}")))
}
