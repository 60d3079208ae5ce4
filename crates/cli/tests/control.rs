//! The control socket, asked by curl, by its own client, and by clients that mean no good.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "control/answers.rs"]
mod answers;
#[path = "control/bounds.rs"]
mod bounds;
#[path = "control/calls.rs"]
mod calls;
#[path = "control/sockets.rs"]
mod sockets;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use axum::routing::{get, post};
use axum::{Json, Router};
use dx::control::{About, Limits, Socket};
use dx::home::{Home, Running};
use dx_transport::id::NodeId;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A node with nothing but a control socket.
struct Served {
    running: Running,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    /// Starts node `name` of cluster `local` in a home at `root`, with `routes` beside the usual.
    fn start(root: &Path, name: &str, routes: Router, limits: Limits) -> Self {
        let cluster = Home::at(root).open_or_create(&"local".parse().unwrap()).unwrap();
        let node = cluster.node(&name.parse().unwrap());
        let running = node.start(NodeId(1), SystemTime::now()).unwrap();
        let about = About::this_process(
            cluster.name().clone(),
            running.node.name().clone(),
            NodeId(1),
            running.incarnation,
        );
        let router = dx::control::router(about, || "dx_links 3\n".to_owned()).merge(routes);
        let socket = Socket::bind(&running.node.control_socket()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let task = tokio::spawn(socket.serve(router, limits, stopped));
        Self { running, stop, task }
    }

    fn socket(&self) -> PathBuf {
        self.running.node.control_socket()
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Routes to send something to.
fn echo() -> Router {
    Router::new()
        .route("/v1/echo", post(async |Json(body): Json<Value>| Json(body)))
        .route("/v1/fail", get(async || "no JSON".parse::<f64>().unwrap().to_string()))
}

/// What curl prints and says at the end: the body, and the status.
async fn curl(socket: &Path, arguments: &[&str]) -> (String, u16) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--unix-socket"]);
    let output = command.arg(socket).args(arguments).output().await.expect("curl is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), status.parse().unwrap())
}
