//! Serving: who gets a place, and for how long.

use std::pin::pin;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::{failure, whole_body};

/// What clients may make a node hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Further ones wait in the kernel's queue. Default: 64, far more than
    /// people and their scripts keep open.
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
            connections: 64,
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

/// Serves `router` on `listener` until `shutdown`.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let router = router
        // The bound of `whole_body` stands in its place.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(limits.clone(), whole_body::receive))
        .layer(middleware::from_fn(failure::explain));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => {
                match accepted {
                    Ok((stream, _)) if is_allowed(&stream) => {
                        let served = connection(stream, router.clone(), limits.clone(), stopping.clone());
                        connections.spawn(served);
                    }
                    Ok(_) => tracing::warn!("turned away another user at the control socket"),
                    Err(error) => {
                        tracing::warn!("failed to accept at the control socket: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
    drop((listener, stop));
    let all = async { while connections.join_next().await.is_some() {} };
    // What is not done by then is cut off when the set is dropped.
    let _ = tokio::time::timeout(limits.drain, all).await;
}

/// Whether whoever connected may ask: the user who runs the node, or root.
fn is_allowed(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0)
}

async fn connection(
    stream: UnixStream,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) {
    let mut stream = TimeoutStream::new(stream);
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
        tracing::debug!("a connection of the control socket ended: {error}");
    }
}
