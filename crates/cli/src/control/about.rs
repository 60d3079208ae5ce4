//! What every node answers: who it is, and how it is doing.

use axum::routing::get;
use axum::{Json, Router};
use dx_transport::id::{ClusterId, Incarnation, NodeId};
use serde::{Deserialize, Serialize};

use crate::bench::header;
use crate::home::NodeName;

/// The answer to `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the program.
    pub version: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's name.
    pub node: NodeName,
    /// Its number.
    pub id: NodeId,
    /// The number of its life.
    pub incarnation: Incarnation,
    /// Its process.
    pub pid: u32,
}

impl About {
    /// This process, as a node.
    #[must_use]
    pub fn this_process(
        cluster: ClusterId,
        node: NodeName,
        id: NodeId,
        incarnation: Incarnation,
    ) -> Self {
        let version = header::VERSION.to_owned();
        Self { version, cluster, node, id, incarnation, pid: std::process::id() }
    }
}

/// What Prometheus expects of a text in its format.
const METRICS: [(&str, &str); 1] = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];

/// `GET /v1/version`, and `GET /metrics` with what `metrics` says at that moment. The routes of a
/// node's parts are merged into it.
pub fn router(
    about: About,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/v1/version", get(async || Json(about)))
        .route("/metrics", get(async move || (METRICS, metrics())))
}
