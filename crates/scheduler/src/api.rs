//! The REST API: what the [`client`](crate::client) requests are over HTTP, as a router that a node
//! merges into its own.
//!
//! ```text
//! HTTP --- Caller? --- handler --- Request ---> the controller, on whatever node it is
//!                         |------- ReadLog ---> the runner that has the log
//! ```
//!
//! The router holds nothing: any node answers, and all answer the same. Where the controller is
//! silent, it says so, and who that is.
//!
//! *Invariant:* nothing but `401` is answered to whom nobody has named a [`Caller`].
//! *Invariant:* what waits (long polls, streams) has a bounded number of places.

mod asking;
mod caller;
mod change;
mod document;
mod events;
mod failure;
mod graph;
mod input;
mod jobs;
mod log;
mod nodes;
mod shell;
mod tasks;
mod waiting;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use dx_agents::NodeId;
use dx_agents::runtime::Port;
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::job::MAX_SPEC;

pub use caller::{Caller, Scope};
pub use document::document;
pub use failure::{Failure, MEDIA_TYPE, Wrong, explain};

/// The largest body that is taken, in bytes: a job, in JSON that is written generously.
pub const MAX_BODY: usize = 2 * MAX_SPEC;

/// The most long polls and streams at a time. Each costs a question to the controller and some
/// hundred kilobytes of a log at worst; a guess.
pub const MAX_WAITING: usize = 128;

/// What the router asks, and by what.
#[derive(Clone, Debug)]
pub struct Api(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    port: Port,
    controller: NodeId,
    nodes: BTreeMap<NodeId, Place>,
    stopping: watch::Receiver<bool>,
    places: Arc<Semaphore>,
    tickets: AtomicU64,
}

/// A node as others reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// The host that it is on: a name, or an address.
    pub host: String,
    /// Where it listens, as `tls://10.0.0.1:7001`.
    pub uri: String,
}

impl Api {
    /// An API that asks the controller on the node `controller`, by `port`. `nodes` are all of the
    /// cluster. When `stopping` becomes true, or its sender is dropped, all that waits ends.
    #[must_use]
    pub fn new(
        port: Port,
        controller: NodeId,
        nodes: BTreeMap<NodeId, Place>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(MAX_WAITING));
        let tickets = AtomicU64::new(0);
        Self(Arc::new(Inside { port, controller, nodes, stopping, places, tickets }))
    }

    /// Its routes: those below `/v1`, and those of the shell system. Whoever serves them adds the [`Caller`] to each request, and
    /// may put [`explain`] around them.
    pub fn router(&self) -> Router {
        let (router, _) = routes().split_for_parts();
        router.layer(DefaultBodyLimit::max(MAX_BODY)).with_state(self.clone())
    }
}

/// All routes, each with its description, by what their callers must be allowed.
fn routes() -> OpenApiRouter<Api> {
    let need = |scope| middleware::from_fn_with_state(scope, caller::require);
    let reading = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::spec))
        .routes(routes!(graph::walk))
        .routes(routes!(jobs::valid))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::explain))
        .routes(routes!(log::read))
        .routes(routes!(events::of_all))
        .routes(routes!(events::of_job))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::show))
        .routes(routes!(document::serve))
        .route_layer(need(Scope::Read));
    let submitting = OpenApiRouter::new()
        .routes(routes!(jobs::submit))
        .routes(routes!(graph::submit))
        .routes(routes!(waits::wait))
        .routes(routes!(change::cancel))
        .routes(routes!(change::retry))
        .routes(routes!(change::hold))
        .routes(routes!(change::release))
        .routes(routes!(change::priority))
        .routes(routes!(change::remove))
        .route_layer(need(Scope::Submit));
    let administering = OpenApiRouter::new()
        .routes(routes!(nodes::drain))
        .routes(routes!(nodes::undrain))
        .route_layer(need(Scope::Admin));
    reading.merge(submitting).merge(administering).merge(shell::routes())
}
