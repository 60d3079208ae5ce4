//! The job API for others than the local user: over TCP, for whoever has a token.
//!
//! On loopback it is plain HTTP, and asked by the names of this machine only, so that no page in a
//! browser gets here under a name of its own. Beyond loopback it is TLS with the node's
//! certificate, always. *Invariant:* no request reaches a handler without a token that is valid at
//! that moment.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, http};
use dx_scheduler::api::Caller;
use dx_transport::identity::NodeIdentity;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Failure;
use super::door::Door;
use super::served::{self, Limits};
use crate::home::{TokenError, Tokens};

/// A TCP socket that listens, and has not served anybody yet.
pub struct Gateway {
    door: Door,
    guard: Arc<Guard>,
    address: SocketAddr,
}

/// What each request has to pass.
struct Guard {
    tokens: Tokens,
    is_loopback: bool,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("failed to listen at {address} for the job API (`listen` in `[jobs]`): {reason}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// Beyond loopback it speaks TLS only, and has nothing to show.
    #[error(
        "the job API may not listen at {address}: beyond loopback it needs TLS, and the node's certificate cannot be used: {reason}"
    )]
    NoTls {
        /// Where.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
}

impl Gateway {
    /// Listens at `address`; beyond loopback with TLS, as `identity`. Must be called within an
    /// asynchronous runtime.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        address: SocketAddr,
        identity: Option<&NodeIdentity>,
        tokens: Tokens,
    ) -> Result<Self, OpenError> {
        let is_loopback = address.ip().is_loopback();
        let tls = if is_loopback { None } else { Some(acceptor(address, identity)?) };
        let failed = |reason| OpenError::Io { address, reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let guard = Arc::new(Guard { tokens, is_loopback });
        Ok(Self { door: Door::Tcp(listener, tls), guard, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` to whoever has a token, until `shutdown`, and then what was begun.
    pub async fn serve(self, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
        let router = router
            // Also what is not there is not there for strangers.
            .fallback(async || StatusCode::NOT_FOUND)
            .layer(middleware::from_fn_with_state(self.guard, admit));
        served::serve(self.door, router, limits, shutdown).await;
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

fn acceptor(
    address: SocketAddr,
    identity: Option<&NodeIdentity>,
) -> Result<TlsAcceptor, OpenError> {
    let no_tls = |reason: String| OpenError::NoTls { address, reason };
    let identity = identity.ok_or_else(|| no_tls("there is none".to_owned()))?;
    let config = identity.tls_server_for_all().map_err(|error| no_tls(error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn admit(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    guard.check_names(&request)?;
    let caller = guard.caller(request.headers())?;
    // It is not needed any more, and so cannot get into a log.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl Guard {
    /// Refuses what a browser sends for a page of somebody else.
    fn check_names(&self, request: &Request) -> Result<(), Failure> {
        let refused = |text: String, hint: &str| {
            Failure::new(StatusCode::FORBIDDEN, "foreign_page", text).hint(hint)
        };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(http::uri::Authority::as_str).or(host);
        let host = host.unwrap_or_default();
        if self.is_loopback && !is_of_this_machine(host) {
            let text = format!("`{}` is no name of this machine", host.escape_debug());
            return Err(refused(text, "ask `localhost`, `127.0.0.1` or `[::1]`"));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        match origin.split_once("://") {
            Some((_, of)) if of.eq_ignore_ascii_case(host) => Ok(()),
            _ => {
                let text = format!("pages of `{}` may not ask this node", origin.escape_debug());
                Err(refused(text, "send no header `origin`"))
            }
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        let unknown = |code: &str, text: &str| {
            Failure::new(StatusCode::UNAUTHORIZED, code, text)
                .hint("send `authorization: Bearer TOKEN`; `dx token create` makes one")
        };
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let sent = match (sent.next(), sent.next()) {
            (None, _) => return Err(unknown("no_token", "no token was sent")),
            (Some(_), Some(_)) => return Err(unknown("invalid_token", "several tokens were sent")),
            (Some(sent), None) => sent.to_str().unwrap_or_default(),
        };
        let (scheme, secret) = sent.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unknown("invalid_token", "what was sent is no bearer token"));
        }
        match self.tokens.holder(secret.trim()) {
            Ok(Some(token)) => Ok(Caller { name: token.name, scope: token.scope }),
            Ok(None) => Err(unknown("invalid_token", "the token is not valid, or was revoked")),
            Err(error) => Err(unusable(&error)),
        }
    }
}

fn unusable(error: &TokenError) -> Failure {
    tracing::error!("tokens cannot be read: {error}");
    let text = "tokens cannot be read; the node's log says why";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "tokens_unreadable", text)
}

/// Whether `host`, with or without a port, can only mean this machine.
fn is_of_this_machine(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_mean_this_machine_are_its_names() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:9"]
        {
            assert!(is_of_this_machine(host), "{host}");
        }
        let others = [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1:8080",
            "localhost:",
            "localhost:80:80",
            "evil@localhost:x",
            "[::2]:80",
        ];
        for host in others {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
