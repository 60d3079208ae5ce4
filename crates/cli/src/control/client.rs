//! Asking a node through its control socket.

use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response, Uri, header};
use dx_transport::id::ClusterId;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{About, Failure, Streamed};
use crate::home::{ClusterError, FolderError, Home, Node, NodeName};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How long a node may take to say that it is there. A living one needs a millisecond.
const PROBE: Duration = Duration::from_secs(2);

/// How long a request may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A node that answered, through its control socket.
#[derive(Clone, Debug)]
pub struct Client {
    node: Node,
    about: About,
    timeout: Duration,
}

/// Why there is no node to ask.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The cluster has no folder here, or it cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The cluster's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// None of the cluster's nodes here answers.
    #[error("no node of cluster `{cluster}` answers here{}: start one with `dx up`", reasons(.tried))]
    Nobody {
        /// The cluster.
        cluster: ClusterId,
        /// Those that were asked, and why they gave no answer. Nodes without a socket are not in it.
        tried: Vec<CallError>,
    },
    /// The cluster has no such node here.
    #[error("cluster `{cluster}` has no node `{node}` here{suggestion}")]
    UnknownNode {
        /// The cluster.
        cluster: ClusterId,
        /// The node.
        node: NodeName,
        /// `; did you mean ...?`, or nothing.
        suggestion: String,
    },
    /// The node was asked, and gave no answer.
    #[error(transparent)]
    Silent(#[from] CallError),
}

/// Why a request has no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens at the socket.
    #[error("node {0} does not run")]
    NotRunning(NodeName),
    /// The socket is another user's.
    #[error("node {0} belongs to another user: run as that user")]
    Denied(NodeName),
    /// It took too long. The node may have done what was asked.
    #[error("node {node} did not answer within {} s: it may be stopped or overloaded", .after.as_secs_f64())]
    Timeout {
        /// The node.
        node: NodeName,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke. The node may have done what was asked.
    #[error("node {node} broke off: {reason}")]
    Broken {
        /// The node.
        node: NodeName,
        /// What is known.
        reason: String,
    },
    /// The node answered, and did not do it.
    #[error("{0}")]
    Refused(Failure),
    /// The answer, or the question, is of another version than this program's.
    #[error("node {node} and this program do not understand each other: {reason}")]
    Unreadable {
        /// The node.
        node: NodeName,
        /// What is wrong.
        reason: String,
    },
}

fn reasons(tried: &[CallError]) -> String {
    let reasons: Vec<String> = tried.iter().map(ToString::to_string).collect();
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}

impl Client {
    /// Whichever node of `cluster` on this machine answers first.
    ///
    /// # Errors
    /// If there is no such cluster, or none of its nodes answers.
    pub async fn any(home: &Home, cluster: &ClusterId) -> Result<Self, Unreachable> {
        let cluster = home.open(cluster)?;
        let mut probes = JoinSet::new();
        for node in cluster.nodes()? {
            probes.spawn(Self::probe(node));
        }
        let mut tried = Vec::new();
        while let Some(probed) = probes.join_next().await {
            match probed.expect("a probe neither panics nor is cancelled") {
                Ok(client) => return Ok(client),
                Err(CallError::NotRunning(_)) => {}
                Err(error) => tried.push(error),
            }
        }
        Err(Unreachable::Nobody { cluster: cluster.name().clone(), tried })
    }

    /// This node of `cluster`.
    ///
    /// # Errors
    /// If there is no such cluster or node here, or it does not answer.
    pub async fn node(
        home: &Home,
        cluster: &ClusterId,
        node: &NodeName,
    ) -> Result<Self, Unreachable> {
        let cluster = home.open(cluster)?;
        let known = cluster.nodes()?;
        let Some(node) = known.iter().find(|known| known.name() == node) else {
            let names = known.iter().map(|node| node.name().as_str());
            return Err(Unreachable::UnknownNode {
                cluster: cluster.name().clone(),
                node: node.clone(),
                suggestion: crate::home::suggestion(node.as_str(), names),
            });
        };
        Ok(Self::probe(node.clone()).await?)
    }

    /// The same client, which waits this long for each answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What the node said of itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// If there is no answer, or another than expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let answer = call(&self.node, Method::GET, path, Bytes::new(), self.timeout).await?;
        parse(&self.node, &answer)
    }

    /// Asks for `path`, which answers in plain text, as `/metrics` does.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get_text(&self, path: &str) -> Result<String, CallError> {
        let answer = call(&self.node, Method::GET, path, Bytes::new(), self.timeout).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// If there is no answer, or another than expected.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreadable(&error))?;
        let answer = call(&self.node, Method::POST, path, body.into(), self.timeout).await?;
        parse(&self.node, &answer)
    }

    /// Asks for `path` as a stream of events, which comes piece by piece.
    ///
    /// # Errors
    /// If there is no answer, or another than expected.
    pub async fn stream(&self, path: &str) -> Result<Streamed, CallError> {
        let name = self.node.name().clone();
        let opened = tokio::time::timeout(self.timeout, open_stream(&self.node, path)).await;
        let late = |_| CallError::Timeout { node: name.clone(), after: self.timeout };
        let (body, beside) = opened.map_err(late)??;
        Ok(Streamed::new(name, body, beside))
    }

    async fn probe(node: Node) -> Result<Self, CallError> {
        let answer = call(&node, Method::GET, "/v1/version", Bytes::new(), PROBE).await?;
        let about = parse(&node, &answer)?;
        Ok(Self { node, about, timeout: TIMEOUT })
    }

    fn unreadable(&self, error: &impl ToString) -> CallError {
        CallError::Unreadable { node: self.node.name().clone(), reason: error.to_string() }
    }
}

fn parse<T: DeserializeOwned>(node: &Node, answer: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(answer).map_err(|error| CallError::Unreadable {
        node: node.name().clone(),
        reason: error.to_string(),
    })
}

async fn call(
    node: &Node,
    method: Method,
    path: &str,
    body: Bytes,
    timeout: Duration,
) -> Result<Bytes, CallError> {
    let answered = tokio::time::timeout(timeout, exchange(node, method, path, body)).await;
    let late = |_| CallError::Timeout { node: node.name().clone(), after: timeout };
    answered.map_err(late)?
}

async fn exchange(
    node: &Node,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, CallError> {
    let request = request(method, path, body, "application/json").map_err(no_path(node, path))?;
    let (answer, _beside) = send(node, request).await?;
    whole(node, answer).await
}

/// The body of a successful answer, and the task that works for it.
async fn open_stream(
    node: &Node,
    path: &str,
) -> Result<(Incoming, JoinSet<hyper::Result<()>>), CallError> {
    let request = request(Method::GET, path, Bytes::new(), "text/event-stream")
        .map_err(no_path(node, path))?;
    let (answer, beside) = send(node, request).await?;
    if answer.status().is_success() {
        return Ok((answer.into_body(), beside));
    }
    let reason = "a refusal was a success".to_owned();
    whole(node, answer).await?;
    Err(CallError::Unreadable { node: node.name().clone(), reason })
}

fn no_path<'a>(node: &'a Node, path: &'a str) -> impl Fn(axum::http::Error) -> CallError + use<'a> {
    move |error| CallError::Unreadable {
        node: node.name().clone(),
        reason: format!("`{path}` is no path: {error}"),
    }
}

fn broken(node: &Node, error: &dyn std::error::Error) -> CallError {
    CallError::Broken { node: node.name().clone(), reason: error.to_string() }
}

/// The head of the answer, and the task that works for its body.
async fn send(
    node: &Node,
    request: Request<Body>,
) -> Result<(Response<Incoming>, JoinSet<hyper::Result<()>>), CallError> {
    let stream = UnixStream::connect(node.control_socket())
        .await
        .map_err(|error| not_connected(node, &error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(node, &error))?;
    // The connection works beside the request; dropped with the set, it is cut off.
    let mut beside = JoinSet::new();
    beside.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| broken(node, &error))?;
    Ok((answer, beside))
}

async fn whole(node: &Node, answer: Response<Incoming>) -> Result<Bytes, CallError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| broken(node, &*error))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let failure: Failure = parse(node, &body)?;
    Err(CallError::Refused(Failure { status, ..failure }))
}

fn not_connected(node: &Node, error: &io::Error) -> CallError {
    let node = node.name().clone();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => CallError::NotRunning(node),
        ErrorKind::PermissionDenied => CallError::Denied(node),
        _ => CallError::Broken { node, reason: error.to_string() },
    }
}

fn request(
    method: Method,
    path: &str,
    body: Bytes,
    accept: &'static str,
) -> Result<Request<Body>, axum::http::Error> {
    Request::builder()
        .method(method)
        .uri(Uri::builder().path_and_query(path).build()?)
        // The protocol demands a host; a unix socket has none.
        .header(header::HOST, "dx")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, accept)
        .body(Body::from(body))
}
