//! One node, in this process.

mod blame;
mod failure;
mod footing;
mod jobs;
mod log;
mod output;
mod ring;
mod routes;
mod service;
mod words;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dx_agents::mesh::{self, NodeConfig, StopReport};
use dx_agents::runtime::{self as agents, Port, RuntimeConfig};
use dx_agents::{Directory, NodeId, Registry};
use dx_transport::mesh::MeshConfig;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use self::jobs::{Ends, Jobs, LEAVING, Working};
use self::log::Log;
use self::output::Output;
use self::service::Service;
use crate::config;
use crate::console;
use crate::control::{About, Gateway, Limits, Socket};
use crate::home::{Home, Running};
use crate::kinds::job_agents;

pub use failure::StartError;

/// How long its agents and links take at most to leave in good order.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a node takes at most from the request to stop to its end.
pub const STOPPING: Duration = LEAVING.saturating_add(DRAIN);

/// A node that runs: its folder is locked, it listens, its agents have started, and its control
/// socket answers once it is [run](Self::run). Dropped, it ends at once.
pub struct Node {
    inside: Arc<Inside>,
    socket: Socket,
    gateway: Option<Gateway>,
    console: Port,
    /// What the runner's calls come to, if there is one.
    processor: Option<Port>,
    runtime: Runtime,
    // The last to go: while it is held, no other process runs this node.
    running: Running,
}

/// What the parts of a node have in common.
struct Inside {
    mesh: mesh::Node,
    service: Service,
    jobs: Arc<Jobs>,
    about: About,
    cluster: config::Cluster,
    started: Instant,
    /// Whether it was asked to stop.
    stop: watch::Sender<bool>,
}

/// How a node ended.
#[derive(Debug)]
pub enum Ended {
    /// In good order, or with what the report names left undone.
    Stopped(StopReport),
    /// It could not go on, as where its journal cannot be written any more.
    Failed(String),
    /// At once: it was killed while it stopped.
    Killed,
}

impl Node {
    /// Starts node `id` of `cluster` in `home`. Certificate, key and the cluster's secret are made
    /// if there are none yet. Must not be called within an asynchronous task: it blocks.
    ///
    /// # Errors
    /// See [`StartError`]; then nothing of it runs.
    pub fn start(
        cluster: &config::Cluster,
        id: NodeId,
        home: &Home,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let spec = cluster.node(id).ok_or(StartError::NoSuchNode(id))?;
        let folder = home.open_or_create(&cluster.name)?.node(&spec.name);
        let running = folder.start(id, SystemTime::now())?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartError::Runtime)?;
        let socket = {
            let _within = runtime.enter();
            Socket::bind(&running.node.control_socket())?
        };
        let ports = |runtime: &agents::Runtime| {
            let own = |id| runtime.port_as(id).expect("the id is kept free for it");
            let service = Service::new(own(service::service(id)), runtime.port());
            (own(console::console(id)), service, Ends::of(runtime, spec))
        };
        let config = node_config(cluster, spec, &running);
        let (mesh, (console, service, ends)) = mesh::Node::start_with(config, registry, ports)
            .map_err(|error| failure::of_mesh(error, cluster, home, &runtime))?;
        let about = About::this_process(
            cluster.name.clone(),
            running.node.name().clone(),
            id,
            running.incarnation,
        );
        let (stop, stopping) = watch::channel(false);
        let (jobs, processor) = Jobs::new(cluster, spec, ends, stopping);
        let tokens = home.open(&cluster.name)?.tokens();
        let gateway = runtime.block_on(jobs::gateway(cluster, id, &running, tokens))?;
        let jobs = Arc::new(jobs);
        let (cluster, started) = (cluster.clone(), Instant::now());
        let inside = Arc::new(Inside { mesh, service, jobs, about, cluster, started, stop });
        Ok(Self { inside, socket, gateway, console, processor, runtime, running })
    }

    /// Who it is.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.inside.about
    }

    /// What was done about its certificate, and where its folder is.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Serves until `until` is ready or it is asked to stop through its control socket; then leaves
    /// in good order, unless `kill` is ready before that is done. What its agents print goes to
    /// standard output, what happens to it to standard error.
    pub fn run(self, until: impl Future<Output = ()>, kill: impl Future<Output = ()>) -> Ended {
        let Self { inside, socket, gateway, console, processor, runtime, running } = self;
        let log = Log::of_this_process(running.node.log());
        let working = {
            let _within = runtime.enter();
            inside.jobs.work(processor, &running)
        };
        let doors = Doors { socket, gateway, console, log };
        let footing = footing::gone(&running);
        let ended = runtime.block_on(serve(inside, doors, working, footing, until, kill));
        // A task that still waits for something, waits for nothing that matters.
        runtime.shutdown_background();
        drop(running);
        ended
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("about", self.about()).finish_non_exhaustive()
    }
}

impl Inside {
    /// The name of a node, or its number if the configuration does not know it.
    fn name(&self, id: NodeId) -> String {
        self.cluster.node(id).map_or_else(|| id.to_string(), |node| node.name.to_string())
    }

    /// The nodes beside this one.
    fn others(&self) -> impl Iterator<Item = &config::NodeSpec> {
        self.cluster.nodes.iter().filter(|node| node.id != self.about.id)
    }

    /// Ready when the node was asked to stop.
    async fn stopping(&self) {
        // The sender is in `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Ready when the links to all nodes are up, and the runner, if there is one, has joined.
    async fn ready(&self) {
        self.mesh.ready().await;
        self.jobs.joined().await;
    }
}

/// Where things come in and go out.
struct Doors {
    socket: Socket,
    gateway: Option<Gateway>,
    console: Port,
    log: Log,
}

async fn serve(
    inside: Arc<Inside>,
    doors: Doors,
    working: Working,
    footing: impl Future<Output = String>,
    until: impl Future<Output = ()>,
    kill: impl Future<Output = ()>,
) -> Ended {
    let Doors { socket, gateway, console, log } = doors;
    let (output, printing) = Output::start(log);
    let others = gateway.map(|gateway| {
        tokio::spawn(jobs::serve_others(Arc::clone(&inside), gateway, output.clone()))
    });
    let words = tokio::spawn(words::tell(Arc::clone(&inside), output.clone()));
    let (finish, finished) = oneshot::channel();
    let printed = tokio::spawn(output::print(console, output, finished));
    let answering = tokio::spawn(service::answer(Arc::clone(&inside)));
    let shutdown = {
        let inside = Arc::clone(&inside);
        async move { inside.stopping().await }
    };
    let router = routes::router(&inside);
    let serving = tokio::spawn(socket.serve(router, Limits::default(), shutdown));
    let mut failed = None;
    tokio::select! {
        () = until => {}
        () = inside.stopping() => {}
        why = inside.mesh.runtime().failed() => failed = Some(why),
        why = footing => failed = Some(why),
    }
    inside.stop.send_replace(true);
    // It ends by returning, within its limits.
    let _ = serving.await;
    let stopped = async {
        if let Some(others) = others {
            // So does this.
            let _ = others.await;
        }
        inside.jobs.leave(working, &inside).await;
        for task in [words, answering] {
            task.abort();
            // What it was doing is not needed any more.
            let _ = task.await;
        }
        let report = stop(inside).await;
        // The agents have ended, so the console has all their lines.
        drop(finish);
        // They end by returning; neither is aborted.
        let _ = (printed.await, printing.await);
        report
    };
    tokio::select! {
        report = stopped => failed.map_or(Ended::Stopped(report), Ended::Failed),
        () = kill => Ended::Killed,
    }
}

/// Stops the mesh on a thread of its own, since that blocks.
async fn stop(inside: Arc<Inside>) -> StopReport {
    let Some(inside) = Arc::into_inner(inside) else {
        // A request of the control socket outlived its time; the mesh ends with it.
        return StopReport::default();
    };
    let (done, report) = oneshot::channel();
    std::thread::spawn(move || done.send(inside.mesh.stop(DRAIN)));
    report.await.expect("stopping a mesh neither panics nor is cancelled")
}

fn node_config(
    cluster: &config::Cluster,
    spec: &config::NodeSpec,
    running: &Running,
) -> NodeConfig {
    let (name, credentials) = (cluster.name.clone(), running.credentials.clone());
    let mesh = MeshConfig::new(name, spec.id, running.incarnation, credentials)
        .listen(spec.listen.clone())
        .timing(cluster.timing.clone().into())
        .dialing(cluster.dialing.clone().into())
        .bounds(cluster.bounds.clone().into())
        .insecure(cluster.insecure);
    let directory =
        Arc::new(Directory::new(cluster.agents.iter().cloned().chain(job_agents::specs(cluster))));
    let others = cluster.nodes.iter().filter(|node| node.id != spec.id);
    NodeConfig {
        mesh,
        runtime: RuntimeConfig {
            directory,
            journal: Some(running.node.journal()),
            ..RuntimeConfig::default()
        },
        peers: others.map(|node| (node.id, vec![node.address.clone()])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::thread;

    use super::*;
    use crate::config::{Layer, Source};
    use crate::kinds;
    use crate::ring::ports;

    /// It is left to chance which of two things that happen at once a node sees first.
    const TRIES: usize = 8;

    #[test]
    fn a_node_that_others_stop_while_nobody_is_at_its_socket_ends_in_good_order() {
        let port = ports::free(1).unwrap()[0];
        let file = format!("[node.alone]\nid = 1\naddress = \"127.0.0.1:{port}\"\n");
        let source = Source::new(Layer::File, "c.toml", &file);
        let loaded = config::load(vec![source], &kinds::kinds()).expect("nothing is wrong with it");
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        for _ in 0..TRIES {
            let node = Node::start(&loaded.cluster, NodeId(1), &home, &Registry::new()).unwrap();
            let inside = Arc::clone(&node.inside);
            let stopper = thread::spawn(move || inside.stop.send_replace(true));
            let ended = node.run(pending(), pending());
            assert!(matches!(ended, Ended::Stopped(_)), "{ended:?}");
            stopper.join().unwrap();
        }
    }
}
