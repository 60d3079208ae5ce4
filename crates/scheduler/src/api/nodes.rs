//! The nodes that run jobs.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use dx_agents::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asking::refused;
use super::input::Body;
use super::{Api, Failure};
use crate::client::NodeState::{Lost, Silent, Unknown};
use crate::client::{Answer, NodeView, Request, RequestError};

/// All nodes that run jobs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// In the order of their numbers.
    pub nodes: Vec<NodeView>,
}

/// Why a node is drained.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainNode {
    /// For the record.
    reason: Option<String>,
}

/// The nodes that run jobs.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", responses(
    (status = 200, description = "All of them.", body = ref("#/components/schemas/Nodes"))))]
pub async fn list(State(api): State<Api>) -> Result<Json<Nodes>, Failure> {
    Ok(Json(Nodes { nodes: api.nodes().await? }))
}

/// One node.
#[utoipa::path(get, path = "/v1/nodes/{name}", tag = "nodes",
    params(("name" = String, Path, description = "Its name, or its number.")), responses(
    (status = 200, description = "The node.", body = ref("#/components/schemas/NodeView"))))]
pub async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<NodeView>, Failure> {
    api.node(&name).await.map(Json)
}

/// Take no more work to a node.
///
/// What runs there goes on. The body may be left out.
#[utoipa::path(post, path = "/v1/nodes/{name}/drain", tag = "nodes",
    params(("name" = String, Path, description = "Its name, or its number.")),
    request_body = ref("#/components/schemas/DrainNode"),
    responses((status = 200, description = "The node as it is then.",
        body = ref("#/components/schemas/NodeView"))))]
pub async fn drain(
    State(api): State<Api>,
    Path(name): Path<String>,
    request: HttpRequest,
) -> Result<Json<NodeView>, Failure> {
    let DrainNode { reason } = optional(request).await?;
    let node = api.node(&name).await?.id;
    Api::drain(&api, node, reason).await?;
    api.node(&name).await.map(Json)
}

/// Use a node again.
///
/// Also one that is quarantined.
#[utoipa::path(post, path = "/v1/nodes/{name}/undrain", tag = "nodes",
    params(("name" = String, Path, description = "Its name, or its number.")), responses(
    (status = 200, description = "The node as it is then.",
        body = ref("#/components/schemas/NodeView"))))]
pub async fn undrain(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<NodeView>, Failure> {
    let node = api.node(&name).await?.id;
    Api::undrain(&api, node).await?;
    api.node(&name).await.map(Json)
}

/// How often a node's standing is asked for that somebody waits for. Short beside the start of a
/// process; a guess.
const LOOK: Duration = Duration::from_millis(50);

impl Api {
    /// How the controller sees a node.
    ///
    /// # Errors
    /// If it does not say, or knows no such node.
    pub async fn view(&self, node: NodeId) -> Result<NodeView, Failure> {
        let view = self.nodes().await?.into_iter().find(|view| view.id == node);
        view.ok_or_else(|| refused(RequestError::NoNode(node)))
    }

    /// Waits until the controller counts with a node.
    pub async fn joined(&self, node: NodeId) -> NodeView {
        self.until(node, |view| !matches!(view.state, Unknown | Silent | Lost)).await
    }

    /// Waits until nothing is assigned to a node.
    pub async fn idle(&self, node: NodeId) -> NodeView {
        self.until(node, |view| view.attempts == 0).await
    }

    /// Takes no more work to a node, and back what has not started there.
    ///
    /// # Errors
    /// If the controller does not do it.
    pub async fn drain(&self, node: NodeId, reason: Option<String>) -> Result<(), Failure> {
        self.done(Request::Drain { node, reason }).await
    }

    /// Uses a node again.
    ///
    /// # Errors
    /// If the controller does not do it.
    pub async fn undrain(&self, node: NodeId) -> Result<(), Failure> {
        self.done(Request::Undrain(node)).await
    }

    async fn until(&self, node: NodeId, is_so: impl Fn(&NodeView) -> bool) -> NodeView {
        loop {
            match self.view(node).await {
                Ok(view) if is_so(&view) => return view,
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeView>, Failure> {
        let nodes = self.ask(Request::Nodes, |answer| match answer {
            Answer::Nodes(nodes) => Some(nodes),
            _ => None,
        });
        nodes.await
    }

    /// The node of this name or number.
    pub(super) async fn node(&self, name: &str) -> Result<NodeView, Failure> {
        let nodes = self.nodes().await?;
        let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
        let called = |node: &NodeView| node.name == name || node.id.0.to_string() == name;
        nodes.into_iter().find(called).ok_or_else(|| {
            let text = format!("no node `{}` runs jobs", name.escape_debug());
            let failure = Failure::new(StatusCode::NOT_FOUND, "no_such_node", text);
            failure.hint(format!("those that do: {}", names.join(", ")))
        })
    }

    async fn done(&self, request: Request) -> Result<(), Failure> {
        self.ask(request, |answer| matches!(answer, Answer::Done { .. }).then_some(())).await
    }
}

/// The body, or its default where there is none.
async fn optional<T>(request: HttpRequest) -> Result<T, Failure>
where
    T: Default + serde::de::DeserializeOwned,
{
    use axum::extract::FromRequest;
    use axum::http::header::CONTENT_TYPE;
    if request.headers().contains_key(CONTENT_TYPE) {
        return Body::from_request(request, &()).await.map(|Body(body)| body);
    }
    Ok(T::default())
}
