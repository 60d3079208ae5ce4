//! What a node does for jobs: the API at every node, the link to the shim where it runs them.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use dx_agents::NodeId;
use dx_agents::runtime::{Port, Runtime};
use dx_scheduler::api::{Api, Place};
use dx_scheduler::link::{self, LinkConfig};
use dx_scheduler::{processor_of, runner_of};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Inside;
use super::output::Output;
use crate::config::{Cluster, NodeSpec};
use crate::control::{Failure, Gateway, Limits, OpenError};
use crate::home::{Running, Tokens};

/// This program, also when its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// How long a node that stops waits until what it runs has ended and the controller knows it: the
/// grace that a task has if its job says nothing, and a little. Tasks that are given longer are
/// killed by the shim after that; their ends are kept, and told when the node is back.
pub const LEAVING: Duration = Duration::from_secs(12);

/// How long a controller may take to hear that the node leaves, and then that all there has ended.
/// One that stops at the same time hears nothing, and is not waited for once it is gone.
const TELLING: Duration = Duration::from_secs(2);

/// How long the controller's node must be out of reach to count as gone. A guess.
const MISSED: Duration = Duration::from_millis(250);

/// What a node is drained for that stops in good order: it undrains itself when it is back.
const STOPPED: &str = "it was stopped";

/// A node's part in jobs.
pub struct Jobs {
    node: NodeId,
    api: Option<Api>,
    is_runner: bool,
    /// Whether the node's runner has joined the controller, as far as it is one.
    joined: watch::Sender<bool>,
}

/// What works for it, and ends with it.
#[derive(Debug)]
pub struct Working {
    link: Option<JoinHandle<()>>,
    joining: Option<JoinHandle<()>>,
    /// Ends the link, and what the shim runs.
    end: watch::Sender<bool>,
}

/// What is needed before a node's agents are there.
#[derive(Debug)]
pub struct Ends {
    api: Port,
    processor: Option<Port>,
}

impl Ends {
    /// Of `node`, before its agents start.
    pub fn of(runtime: &Runtime, spec: &NodeSpec) -> Self {
        let is_runner = is_runner(spec);
        let own = || runtime.port_as(processor_of(spec.id)).expect("the id is kept free for it");
        Self { api: runtime.port(), processor: is_runner.then(own) }
    }
}

impl Jobs {
    /// The part of `spec` in `cluster`, and the port of what runs its attempts.
    pub fn new(
        cluster: &Cluster,
        spec: &NodeSpec,
        ends: Ends,
        stopping: watch::Receiver<bool>,
    ) -> (Self, Option<Port>) {
        let nodes = cluster.nodes.iter().map(|node| (node.id, place(node))).collect();
        let controller = cluster.controller();
        let api = controller.map(|it| Api::new(ends.api, it.id, nodes, stopping));
        let is_runner = is_runner(spec);
        let joined = watch::Sender::new(!is_runner);
        (Self { node: spec.id, api, is_runner, joined }, ends.processor)
    }

    /// The routes of the API; where nobody controls jobs, ones that say so.
    pub fn router(&self, cluster: &Cluster) -> Router {
        match &self.api {
            Some(api) => api.router(),
            None => no_jobs(cluster.name.to_string()),
        }
    }

    /// Ready when the node's runner has joined the controller; at once if it has none.
    pub async fn joined(&self) {
        // The sender is in `self`.
        let _ = self.joined.subscribe().wait_for(|joined| *joined).await;
    }

    /// Begins what works beside the agents.
    pub fn work(self: &Arc<Self>, processor: Option<Port>, running: &Running) -> Working {
        let (end, ending) = watch::channel(false);
        let link = processor.map(|port| {
            let config = link_config(self.node, running);
            tokio::spawn(link::run(port, config, ending))
        });
        let jobs = Arc::clone(self);
        let joining = self.is_runner.then(|| tokio::spawn(async move { jobs.join().await }));
        Working { link, joining, end }
    }

    /// Waits until the controller counts with this node, and undoes what its last stop did.
    async fn join(&self) {
        let Some(api) = &self.api else { return };
        let view = api.joined(self.node).await;
        let drained = view.reason.as_deref().is_some_and(|reason| reason.contains(STOPPED));
        if drained {
            // Who is not there to hear it shows the node as drained, and why.
            let _ = api.undrain(self.node).await;
        }
        self.joined.send_replace(true);
    }

    /// Ends what this node runs, and waits until the controller knows, within [`LEAVING`], or until
    /// that is gone itself.
    pub async fn leave(&self, working: Working, inside: &Inside) {
        let Working { link, joining, end } = working;
        let (Some(api), Some(mut link)) = (&self.api, link) else { return };
        if let Some(joining) = joining {
            joining.abort();
        }
        let leaving = async {
            let mut gone = pin!(controller_gone(inside));
            let is_told = told(gone.as_mut(), self.tell_of_leaving(api)).await;
            end.send_replace(true);
            // It ends by returning.
            let _ = (&mut link).await;
            if is_told == Some(true) {
                // All has ended: what is left is on its way to the controller, or that stops, too.
                told(gone.as_mut(), api.idle(self.node)).await;
            }
        };
        if timeout(LEAVING, leaving).await.is_err() {
            tracing::warn!("not all that ran here has ended: the shim goes on ending it");
            end.send_replace(true);
            link.abort();
        }
    }
}

impl Jobs {
    /// Has the controller take back what has not started here. False if nobody heard it.
    async fn tell_of_leaving(&self, api: &Api) -> bool {
        match api.view(self.node).await {
            // What somebody drained stays drained when the node is back.
            Ok(view) if is_drained(view.state) => true,
            Ok(_) => api.drain(self.node, Some(STOPPED.to_owned())).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// Waits for what the controller is told, for [`TELLING`] at most, and not once it is `gone`.
async fn told<T>(
    gone: Pin<&mut impl Future<Output = ()>>,
    telling: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        // What came of it before the controller went counts.
        biased;
        told = timeout(TELLING, telling) => told.ok(),
        () = gone => None,
    }
}

/// Ready once the controller's node is gone; never on that node itself.
async fn controller_gone(inside: &Inside) {
    match inside.cluster.controller() {
        Some(controller) if controller.id != inside.about.id => {
            gone(|| inside.mesh.down(controller.id)).await;
        }
        _ => pending().await,
    }
}

/// Ready when something has been `down` for so long that it is no link that comes back at once, nor
/// one that is about to come up.
async fn gone<F: Future<Output = ()>>(down: impl Fn() -> F) {
    loop {
        down().await;
        sleep(MISSED).await;
        if timeout(Duration::ZERO, down()).await.is_ok() {
            return;
        }
    }
}

fn is_drained(state: dx_scheduler::client::NodeState) -> bool {
    use dx_scheduler::client::NodeState::{Drained, Draining};
    matches!(state, Drained | Draining)
}

fn is_runner(spec: &NodeSpec) -> bool {
    spec.roles.contains(&crate::config::file::Role::Runner)
}

fn link_config(node: NodeId, running: &Running) -> LinkConfig {
    let folder = running.node.shim();
    let arguments = ["shim".into(), folder.clone().into(), node.0.to_string().into()];
    LinkConfig {
        folder,
        program: PROGRAM.into(),
        arguments: arguments.into(),
        // Its tasks ask the cluster that they are a part of.
        environment: vec![("DX_CLUSTER".into(), running.node.cluster().name().to_string().into())],
        runner: runner_of(node),
    }
}

/// Says, at the paths of the API, that there are no jobs.
fn no_jobs(cluster: String) -> Router {
    let answer = move || {
        let text = format!("cluster {cluster} runs no jobs: no node has the role `controller`");
        let failure = Failure::new(StatusCode::NOT_FOUND, "no_controller", text)
            .hint("set `roles = [\"controller\", \"runner\"]` for one node, and start it again");
        std::future::ready(failure)
    };
    let mut router = Router::new();
    for path in PATHS {
        router = router.route(path, any(answer.clone()));
    }
    router
}

/// Where others reach a node.
fn place(node: &NodeSpec) -> Place {
    let endpoint = node.address.endpoint();
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    Place {
        name: node.name.to_string(),
        host: host.trim_matches(['[', ']']).to_owned(),
        uri: format!("{}://{endpoint}", node.address.transport()),
    }
}

/// Where the API would be.
const PATHS: [&str; 15] = [
    "/scheduler/{*rest}",
    "/nodemgr/{*rest}",
    "/processor/{*rest}",
    "/v1/graphs",
    "/v1/jobs",
    "/v1/jobs/{*rest}",
    "/v1/nodes",
    "/v1/nodes/{*rest}",
    "/v1/events",
    "/v1/cancel",
    "/v1/retry",
    "/v1/hold",
    "/v1/release",
    "/v1/priority",
    "/v1/remove",
];

/// Opens the API to others, if this node is to.
pub async fn gateway(
    cluster: &Cluster,
    node: NodeId,
    running: &Running,
    tokens: Tokens,
) -> Result<Option<Gateway>, OpenError> {
    let is_here = cluster.controller().is_some_and(|controller| controller.id == node);
    let Some(address) = cluster.jobs.listen.filter(|_| is_here) else { return Ok(None) };
    let identity = running.credentials.identity.as_ref();
    Gateway::open(address, identity, tokens).await.map(Some)
}

/// Serves the API to others until the node stops.
pub async fn serve_others(inside: Arc<Inside>, gateway: Gateway, output: Output) {
    let address: SocketAddr = gateway.address();
    let scheme = if address.ip().is_loopback() { "http" } else { "https" };
    output
        .tell(format!("the job API answers at {scheme}://{address} to whoever has a token"))
        .await;
    let router = inside.jobs.router(&inside.cluster);
    let stop = inside.stop.subscribe();
    drop(inside);
    let stopping = async move {
        let mut stop = stop;
        // A sender that is gone has stopped.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    gateway.serve(router, Limits::default(), stopping).await;
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_is_gone_is_not_waited_for() {
        let began = Instant::now();
        assert_eq!(told(pin!(ready(())), pending::<()>()).await, None);
        assert_eq!(told(pin!(ready(())), ready("before it went")).await, Some("before it went"));
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(told(pin!(pending()), pending::<()>()).await, None);
        assert_eq!(began.elapsed(), TELLING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_is_back_at_once_is_not_gone() {
        let is_down = watch::Sender::new(true);
        let down = || async {
            // The sender is here.
            let _ = is_down.subscribe().wait_for(|is_down| *is_down).await;
        };
        let began = Instant::now();
        gone(down).await;
        assert_eq!(began.elapsed(), MISSED);
        let flap = async {
            sleep(MISSED / 2).await;
            is_down.send_replace(false);
            sleep(MISSED).await;
            is_down.send_replace(true);
        };
        tokio::join!(gone(down), flap);
        assert_eq!(began.elapsed(), MISSED + MISSED / 2 + 2 * MISSED);
    }
}
