//! Serving: who gets a place, and for how long.

use std::pin::pin;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router, middleware};
use dx_scheduler::api::{MAX_WAITING, explain};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::door::{Door, Visitor};
use super::{user, whole_body};

/// What clients may make a node hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Further ones wait in the kernel's queue. Default: 256: those that
    /// wait or stream ([`MAX_WAITING`]), and as many that do not.
    pub connections: usize,
    /// The largest body of a request, in bytes. Default: 4 MiB, the largest configuration or batch
    /// of jobs that is sensible; a guess.
    pub body_bytes: usize,
    /// Time to send the head of a request; so, too, the time for which an idle connection is kept.
    /// Default: 10 s.
    pub head: Duration,
    /// Time to send a whole body. Default: 10 s.
    pub body: Duration,
    /// Time in which a client that reads nothing of its answer must go on. Default: 30 s.
    pub write_pause: Duration,
    /// Time after the shutdown for what was begun. Default: 5 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2 * MAX_WAITING,
            body_bytes: 4 * 1024 * 1024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write_pause: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// How long to wait when the kernel gives no connection, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` at `door` until `shutdown`.
pub async fn serve(door: Door, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
    let router = router
        // The bound of `whole_body` stands in its place.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(limits.clone(), whole_body::receive))
        .layer(middleware::from_fn(explain));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = door.accept(), if connections.len() < limits.connections => {
                match accepted {
                    Ok(visitor) if visitor.is_allowed() => {
                        let served = connection(visitor, router.clone(), limits.clone(), stopping.clone());
                        connections.spawn(served);
                    }
                    Ok(_) => tracing::warn!("turned away another user at the control socket"),
                    Err(error) => {
                        tracing::warn!("failed to accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
    drop((door, stop));
    let all = async { while connections.join_next().await.is_some() {} };
    // What is not done by then is cut off when the set is dropped.
    let _ = tokio::time::timeout(limits.drain, all).await;
}

async fn connection(
    visitor: Visitor,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) {
    // By TCP, each request says who asks.
    let caller = matches!(visitor, Visitor::Unix(_)).then(|| user::caller(visitor.user()));
    let router = match caller {
        Some(caller) => router.layer(Extension(caller)),
        None => router,
    };
    let Some(stream) = visitor.open(limits.head).await else { return };
    let mut stream = TimeoutStream::new(Box::into_pin(stream));
    stream.set_write_timeout(Some(limits.write_pause));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}
