//! What a node answers at its control socket, beside who it is.

use std::sync::{Arc, Weak};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use dx_agents::{AgentId, NodeId};

use super::Inside;
use super::service::PingError;
use crate::cluster::report::{AgentPing, ClusterReport, NodeReport};
use crate::config;
use crate::control::{About, Failure, router as control};
use crate::kinds::ring_member::{self, Until};

type Answer<T> = Result<Json<T>, Failure>;

/// All routes of a node. They do not keep it alive.
pub fn router(inside: &Arc<Inside>) -> Router {
    let node = Arc::downgrade(inside);
    let metrics = {
        let node = node.clone();
        move || node.upgrade().map(|inside| inside.mesh.metrics()).unwrap_or_default()
    };
    control(inside.about.clone(), metrics)
        .merge(
            Router::new()
                .route("/v1/node", get(report))
                .route("/v1/status", get(status))
                .route("/v1/ready", get(ready))
                .route("/v1/configuration", get(configuration))
                .route("/v1/agents/{id}/ping", get(ping))
                .route("/v1/ring/{until}", get(ring))
                .route("/v1/ring/{until}/{member}", get(ring_of))
                .route("/v1/stop", post(stop))
                .route("/v1/stop/{node}", post(stop_other))
                .with_state(node),
        )
        .merge(inside.jobs.router(&inside.cluster))
}

async fn report(State(node): State<Weak<Inside>>) -> Answer<NodeReport> {
    Ok(Json(alive(&node)?.report()))
}

async fn status(State(node): State<Weak<Inside>>) -> Answer<ClusterReport> {
    let inside = alive(&node)?;
    tokio::select! {
        report = inside.cluster_report() => Ok(Json(report)),
        () = inside.stopping() => Err(is_stopping()),
    }
}

/// Answers as soon as the links to all nodes are up, and the runner has joined.
async fn ready(State(node): State<Weak<Inside>>) -> Answer<About> {
    let inside = alive(&node)?;
    tokio::select! {
        () = inside.ready() => Ok(Json(inside.about.clone())),
        () = inside.stopping() => Err(is_stopping()),
    }
}

async fn configuration(State(node): State<Weak<Inside>>) -> Answer<config::Cluster> {
    Ok(Json(alive(&node)?.cluster.clone()))
}

async fn ping(State(node): State<Weak<Inside>>, Path(agent): Path<u64>) -> Answer<AgentPing> {
    let inside = alive(&node)?;
    inside.ping(AgentId(agent)).await.map(Json).map_err(|error| match error {
        PingError::Unknown(_) => {
            Failure::new(StatusCode::NOT_FOUND, "no_such_agent", error.to_string())
                .hint("`dx agent ls` lists those there are")
        }
        PingError::Gone { .. } => Failure::new(StatusCode::GONE, "agent_ended", error.to_string()),
        PingError::Silent { .. } => {
            Failure::new(StatusCode::GATEWAY_TIMEOUT, "node_silent", error.to_string())
        }
    })
}

/// Answers when this node's member of a ring has got there, or cannot.
async fn ring(
    State(node): State<Weak<Inside>>,
    Path(until): Path<Until>,
) -> Answer<ring_member::Report> {
    let inside = alive(&node)?;
    tokio::select! {
        report = inside.ring_report(until, None) => report.map(Json),
        () = inside.stopping() => Err(is_stopping()),
    }
}

/// The same of any member, on whichever node.
async fn ring_of(
    State(node): State<Weak<Inside>>,
    Path((until, member)): Path<(Until, u64)>,
) -> Answer<ring_member::Report> {
    let inside = alive(&node)?;
    tokio::select! {
        report = inside.ring_report(until, Some(AgentId(member))) => report.map(Json),
        () = inside.stopping() => Err(is_stopping()),
    }
}

/// Begins to stop, and says who does.
async fn stop(State(node): State<Weak<Inside>>) -> Answer<About> {
    let inside = alive(&node)?;
    inside.stop.send_replace(true);
    Ok(Json(inside.about.clone()))
}

/// Has another node stop, and says who does.
async fn stop_other(State(node): State<Weak<Inside>>, Path(other): Path<u32>) -> Answer<About> {
    let inside = alive(&node)?;
    let stops = inside.stop_other(NodeId(other)).await;
    stops.map(Json).map_err(|why| Failure::new(StatusCode::GATEWAY_TIMEOUT, "node_silent", why))
}

fn alive(node: &Weak<Inside>) -> Result<Arc<Inside>, Failure> {
    node.upgrade().ok_or_else(is_stopping)
}

fn is_stopping() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the node is stopping")
}
