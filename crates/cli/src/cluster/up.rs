//! The nodes of this machine, as processes that are watched.
//!
//! ```text
//! Up --> Warden (one per node) --> process: started, or found running
//!                   ^  ^
//!       control.sock   log       changes of the node's folder
//! ```
//!
//! A node's process writes its log itself, in a process group of its own, and is heard of only by
//! its folder. So it does not notice when whoever started it is killed, and the next one finds it,
//! takes it over and goes on where it is.

mod accidents;
mod intensity;
mod process;
mod tail;
mod warden;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dx_transport::id::ClusterId;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;

use self::warden::{Order, Warden};
use super::interfaces;
use crate::config::{self, NodeSpec};
use crate::control::{About, CallError, Client, Unreachable};
use crate::home::{self, Home, LockError, NodeError, NodeLock, NodeName};

pub use accidents::Accidents;
pub use process::How;
pub use warden::News;
pub use watch::of as changes_of;

/// A cluster's nodes on this machine, about to be started or taken over.
#[derive(Debug)]
pub struct Up {
    cluster: config::Cluster,
    home: Home,
    folder: home::Cluster,
    local: Vec<Local>,
    remote: Vec<NodeSpec>,
    begun: Instant,
    restarts: bool,
    accidents: Accidents,
    // While it is held, nobody else watches over these nodes.
    _lock: NodeLock,
}

/// A node of this machine.
#[derive(Clone, Debug)]
struct Local {
    spec: NodeSpec,
    folder: home::Node,
    /// Who runs it already.
    found: Option<About>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// Somebody watches over it already.
    #[error("cluster {cluster} is up already: another `dx up` watches over it{}: stop it with Ctrl-C there, or `dx down --cluster {cluster}`", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Running {
        /// The cluster.
        cluster: ClusterId,
        /// The other's process, if it is known.
        pid: Option<u32>,
    },
    /// Its nodes run, and as part of another configuration.
    #[error(
        "cluster {cluster} runs already with another configuration (node {node}): stop it with `dx down --cluster {cluster}`, then start it again"
    )]
    Differs {
        /// The cluster.
        cluster: ClusterId,
        /// One of its nodes.
        node: String,
    },
    /// It has no nodes.
    #[error(
        "cluster {0} has no nodes: give its file one, as in `[node.n1]` with `id = 1` and `address = \"127.0.0.1:7001\"`"
    )]
    Empty(ClusterId),
    /// None of its nodes is of this machine.
    #[error(
        "no node of cluster {0} has an address of this machine: correct the addresses, or start it on one that it names"
    )]
    NoneHere(ClusterId),
    /// A node that runs does not answer.
    #[error(transparent)]
    Silent(#[from] CallError),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] home::FolderError),
    /// The cluster's folder cannot be used.
    #[error(transparent)]
    Cluster(#[from] home::ClusterError),
    /// A node's folder cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The nodes' folders cannot be watched.
    #[error(
        "failed to watch the nodes' folders: {0}: raise fs.inotify.max_user_instances, or stop a program that uses them"
    )]
    Watch(io::Error),
}

/// What there is to tell.
#[derive(Debug)]
pub enum Event<'a> {
    /// Of one node.
    Node(&'a NodeSpec, News),
    /// All nodes of this machine are ready, for the first time.
    Ready {
        /// Since the start.
        after: Duration,
    },
    /// It was told to stop, and these many nodes are doing so.
    Stopping(usize),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All nodes stopped as they should.
    Stopped,
    /// The nodes run on in the background.
    Detached,
    /// A node could not start, for a reason that somebody must remove.
    CannotStart,
    /// A node failed again and again, or had to be killed.
    Failed,
}

impl Up {
    /// Finds out what runs, and makes ready what does not. Nodes that are known to be `elsewhere`
    /// are, whatever their addresses say.
    ///
    /// # Errors
    /// See [`UpError`]; nothing was started.
    pub async fn prepare(
        cluster: config::Cluster,
        home: &Home,
        elsewhere: &[NodeName],
    ) -> Result<Self, UpError> {
        let begun = Instant::now();
        if cluster.nodes.is_empty() {
            return Err(UpError::Empty(cluster.name));
        }
        let folder = home.open_or_create(&cluster.name)?;
        let name = cluster.name.clone();
        let lock = NodeLock::take(&folder.path().join(LOCK)).map_err(|error| match error {
            LockError::Held(pid) => UpError::Running { cluster: name, pid },
            LockError::Folder(error) => error.into(),
        })?;
        let specs = cluster.nodes.iter().cloned();
        let (local, remote): (Vec<_>, Vec<_>) = specs.partition(|node| {
            !elsewhere.contains(&node.name) && interfaces::is_local(&node.address)
        });
        if local.is_empty() {
            return Err(UpError::NoneHere(cluster.name));
        }
        let mut nodes = Vec::new();
        for spec in local {
            let node = folder.node(&spec.name);
            let found = find(&cluster, home, &node).await?;
            if found.is_none() && node.certificate().is_err() {
                // One that is damaged is told about by the node itself.
                match node.issue(spec.id, SystemTime::now(), false) {
                    Ok(()) | Err(NodeError::Exists(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            nodes.push(Local { spec, folder: node, found });
        }
        let (home, restarts) = (home.clone(), true);
        let accidents = Accidents::of(nodes.iter().map(|node| node.spec.id));
        Ok(Self {
            cluster,
            home,
            folder,
            local: nodes,
            remote,
            begun,
            restarts,
            accidents,
            _lock: lock,
        })
    }

    /// The same, of which no node that fails is started again.
    #[must_use]
    pub fn without_restarts(mut self) -> Self {
        self.restarts = false;
        self
    }

    /// By which nodes' processes can be killed while it runs.
    #[must_use]
    pub fn accidents(&self) -> Accidents {
        self.accidents.clone()
    }

    /// The nodes of other machines.
    #[must_use]
    pub fn remote(&self) -> &[NodeSpec] {
        &self.remote
    }

    /// The cluster's folder.
    #[must_use]
    pub fn folder(&self) -> &home::Cluster {
        &self.folder
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &config::Cluster {
        &self.cluster
    }

    /// Starts the nodes and watches over them until `until` is ready; then stops them, and kills
    /// them if `kill` is ready before they have. To `detach` is to leave them as soon as all are
    /// ready. Everything is told by `tell`.
    ///
    /// # Errors
    /// If the nodes' folders cannot be watched.
    pub async fn run(
        self,
        detach: bool,
        until: impl Future<Output = ()>,
        kill: impl Future<Output = ()>,
        mut tell: impl FnMut(Event<'_>),
    ) -> Result<Outcome, UpError> {
        let (order, orders) = channel::channel(Order::Run);
        let (news, mut heard) = mpsc::channel(NEWS);
        let folders = self.local.iter().map(|node| node.folder.path().to_owned());
        let changes = watch::watch(folders.collect()).map_err(UpError::Watch)?;
        let configuration: Arc<[u8]> =
            serde_json::to_vec(&self.cluster).expect("a cluster has text keys only").into();
        let mut wardens = JoinSet::new();
        for (index, (node, changes)) in self.local.iter().zip(changes).enumerate() {
            let warden = Warden {
                index,
                home: self.home.clone(),
                node: node.folder.clone(),
                id: node.spec.id,
                configuration: Arc::clone(&configuration),
                changes,
                orders: orders.clone(),
                accident: self.accidents.of_node(node.spec.id),
                restarts: self.restarts,
                news: news.clone(),
            };
            wardens.spawn(warden.tend(node.found.clone()));
        }
        drop((news, orders));
        let mut progress = Progress::new(self.local.len());
        let (mut until, mut kill) = (Box::pin(until), Box::pin(kill));
        loop {
            tokio::select! {
                biased;
                heard = heard.recv() => {
                    let Some((index, news)) = heard else { break };
                    progress.note(index, &news);
                    tell(Event::Node(&self.local[index].spec, news));
                    if progress.is_ready_now() {
                        tell(Event::Ready { after: self.begun.elapsed() });
                        if detach {
                            return Ok(Outcome::Detached);
                        }
                    }
                    if progress.cannot_start() && *order.borrow() == Order::Run {
                        order.send_replace(Order::Stop);
                    }
                }
                () = &mut until, if *order.borrow() == Order::Run => {
                    tell(Event::Stopping(progress.running()));
                    order.send_replace(Order::Stop);
                }
                () = &mut kill, if *order.borrow() == Order::Stop => {
                    order.send_replace(Order::Kill);
                }
            }
        }
        Ok(progress.outcome())
    }
}

/// Whoever runs `node` already, as part of the same configuration.
async fn find(
    cluster: &config::Cluster,
    home: &Home,
    node: &home::Node,
) -> Result<Option<About>, UpError> {
    let client = match Client::node(home, &cluster.name, node.name()).await {
        Ok(client) => client,
        Err(Unreachable::UnknownNode { .. } | Unreachable::Silent(CallError::NotRunning(_))) => {
            return Ok(None);
        }
        Err(Unreachable::Silent(error)) => return Err(error.into()),
        Err(Unreachable::Cluster(error)) => return Err(error.into()),
        Err(Unreachable::Folder(error)) => return Err(error.into()),
        Err(Unreachable::Nobody { .. }) => return Ok(None),
    };
    let runs: config::Cluster = client.get("/v1/configuration").await?;
    if runs != *cluster {
        let (cluster, node) = (cluster.name.clone(), node.name().to_string());
        return Err(UpError::Differs { cluster, node });
    }
    Ok(Some(client.about().clone()))
}

/// How far the nodes are.
#[derive(Debug)]
struct Progress {
    nodes: Vec<State>,
    was_ready: bool,
    cannot_start: bool,
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Ended,
}

impl Progress {
    fn new(nodes: usize) -> Self {
        let nodes = vec![State::Starting; nodes];
        Self { nodes, was_ready: false, cannot_start: false, failed: false }
    }

    fn note(&mut self, index: usize, news: &News) {
        match news {
            News::Ready => self.nodes[index] = State::Ready,
            News::Ended(how) => {
                self.nodes[index] = State::Ended;
                self.cannot_start |= !self.was_ready && how.is_lasting();
                // It stays down, while the others run on.
                self.failed |= self.was_ready && how.is_lasting();
            }
            News::GaveUp | News::NotStarted(_) => self.failed = true,
            News::Started { .. } => self.nodes[index] = State::Starting,
            News::TakenOver { .. }
            | News::Line(_)
            | News::DiskFull(_)
            | News::Restarting { .. } => {}
        }
    }

    /// Whether all are ready, and were not before.
    fn is_ready_now(&mut self) -> bool {
        let is_ready = self.nodes.iter().all(|state| *state == State::Ready);
        let is_first = is_ready && !self.was_ready;
        self.was_ready |= is_ready;
        is_first
    }

    fn cannot_start(&self) -> bool {
        self.cannot_start
    }

    fn running(&self) -> usize {
        self.nodes.iter().filter(|state| **state != State::Ended).count()
    }

    fn outcome(&self) -> Outcome {
        match (self.cannot_start, self.failed) {
            (true, _) => Outcome::CannotStart,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Stopped,
        }
    }
}

/// The lock of whoever watches over a cluster's nodes. No node can have this name.
const LOCK: &str = ".up.lock";

/// News that wait to be told; a node's log waits on the disk.
const NEWS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stays_down_is_a_failure_after_all_were_ready_too() {
        let mut progress = Progress::new(1);
        progress.note(0, &News::Ready);
        assert!(progress.is_ready_now());
        progress.note(0, &News::Ended(How::Exited(2)));
        assert!(!progress.cannot_start());
        assert_eq!(progress.outcome(), Outcome::Failed);
    }
}
