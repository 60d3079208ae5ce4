//! A node: agents that reach those of other nodes.
//!
//! ```text
//! agent -> Links (encode) -> Link (credit, outbox) -> Peer ~~~ mesh ~~~ Intake -> mailbox -> agent
//!                              ^                                          |
//!                              +------- credit given back by halves ------+
//! ```
//!
//! One thread does the I/O of all links and runs the light agents, so that a message between them
//! and a link changes no thread; and where nothing else waits for an agent there, it hears what
//! arrives at once, past its mailbox. An agent whose steps are slow leaves that thread by itself.
//!
//! - Where an agent lives is plain from its id; to send to it is the same everywhere.
//! - `from` is vouched for: a node can speak for its own agents only.
//! - A node may have so much waiting in a mailbox as it has credit for, so no agent ever holds up
//!   a link. What has no credit waits in a bounded outbox on the sender's side.
//! - What happens to other nodes is heard by those who monitor, or have asked, agents there.
//!
//! Start with [`Node`].

mod backlog;
mod event;
mod intake;
mod io;
mod link;
mod links;
mod metrics;
mod peers;
mod seat;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dx_transport::address::Address;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::mesh::{AddPeerError, DrainReport, MeshConfig, StartError};
use tokio::sync::oneshot;

pub use self::backlog::{MAX_BACKLOG, MAX_BACKLOG_BYTES};
pub use self::event::{NodeEvent, NodeEvents};
pub use self::intake::{MAX_SEATS, MAX_WATCHED};
pub use self::status::{LaneCounts, LinkState, LinkStatus, NodeStatus, OutboxStatus};
pub use crate::remote::asks::MAX_ASKS;
pub use crate::remote::outbox::{MAX_WAITING, MAX_WAITING_BYTES};
pub use crate::remote::wire;

use self::event::News;
use self::intake::Intake;
use self::io::{IoThread, Loop};
use self::links::Links;
use self::peers::Peers;
use crate::id::AgentId;
use crate::registry::Registry;
use crate::remote::parcel::lanes;
use crate::runtime::{Runtime, RuntimeConfig, StartAgentError};

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Who it is, where it listens and what it proves itself with. Its lanes are chosen here.
    pub mesh: MeshConfig,
    /// The directory, and how agents run. Node and incarnation are those of `mesh`.
    pub runtime: RuntimeConfig,
    /// The other nodes, each with the addresses at which it may be reached; without one it is
    /// waited for.
    pub peers: Vec<(NodeId, Vec<Address>)>,
}

/// A node cannot start. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum StartNodeError {
    /// Its mesh cannot.
    #[error(transparent)]
    Mesh(#[from] StartError),
    /// Another node cannot be added.
    #[error("node {node} cannot be added: {error}")]
    Peer {
        /// Which.
        node: NodeId,
        /// Why.
        error: AddPeerError,
    },
    /// Its runtime cannot: no threads, or no journal.
    #[error(transparent)]
    Runtime(#[from] crate::runtime::StartError),
    /// An agent of it cannot start.
    #[error("agent {agent} cannot start: {error}")]
    Agent {
        /// Which.
        agent: AgentId,
        /// Why.
        error: StartAgentError,
    },
}

/// What was not done when a node stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Agents that had to be stopped.
    pub late: Vec<AgentId>,
    /// Messages that still waited for credit or room, by node.
    pub unsent: Vec<(NodeId, usize)>,
    /// Who did not acknowledge everything.
    pub drain: DrainReport,
}

impl StopReport {
    /// Whether everything was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.late.is_empty() && self.unsent.is_empty() && self.drain.is_complete()
    }
}

/// A running node. Dropped, it ends at once; to let its agents finish, [`stop`](Self::stop) it.
pub struct Node {
    /// First, so that it is dropped first: a node that ends at once looks like one that crashed, and
    /// does not tell some of the others that its agents stopped.
    io: IoThread,
    runtime: Runtime,
    links: Arc<Links>,
    news: Arc<News>,
    expected: BTreeSet<NodeId>,
    ended: oneshot::Receiver<()>,
}

impl Node {
    /// Starts a node with its agents of the directory. When this returns it listens, its agents
    /// can be sent to, and the other nodes are being dialed. Must not be called within an
    /// asynchronous task: it blocks for a moment.
    ///
    /// # Errors
    /// See [`StartNodeError`].
    pub fn start(config: NodeConfig, registry: &Registry) -> Result<Self, StartNodeError> {
        let (node, ()) = Self::start_with(config, registry, |_runtime| ())?;
        Ok(node)
    }

    /// The same; `prepare` is called before the agents are there. Ports that it makes hear what
    /// agents say in their first steps.
    ///
    /// # Errors
    /// See [`StartNodeError`].
    pub fn start_with<T>(
        config: NodeConfig,
        registry: &Registry,
        prepare: impl FnOnce(&Runtime) -> T,
    ) -> Result<(Self, T), StartNodeError> {
        let io = IoThread::start(config.mesh.lanes(lanes()))?;
        let (node, incarnation) = (io.mesh.node(), io.mesh.incarnation());
        let runtime = RuntimeConfig { node, incarnation, ..config.runtime };
        let runtime = Runtime::start(runtime)?;
        let worker = runtime.io_worker();
        let agents = Arc::clone(runtime.shared());
        let prepared = prepare(&runtime);
        let links = Links::new(&agents);
        let news = Arc::new(News::default());
        let (running, ended) = oneshot::channel();
        let mut started = Self { runtime, links, news, expected: BTreeSet::new(), ended, io };
        // Before the agents: they may send as soon as they are there.
        for (node, addresses) in config.peers {
            started
                .add_node(node, addresses)
                .map_err(|error| StartNodeError::Peer { node, error })?;
            started.expected.insert(node);
        }
        started.runtime.connect(started.links.clone());
        for spec in agents.directory.on_node(node) {
            let agent = spec.id;
            let born = started.runtime.start_agent(spec, registry);
            born.map_err(|error| StartNodeError::Agent { agent, error })?;
        }
        // After them: what comes from other nodes finds them all.
        let peers = Peers {
            agents: agents.clone(),
            links: started.links.clone(),
            news: started.news.clone(),
        };
        started.io.run(Loop {
            mesh: started.io.mesh.clone(),
            worker,
            intake: Intake::new(agents, started.links.clone()),
            peers,
            ended: Some(running),
        });
        Ok((started, prepared))
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.io.mesh.node()
    }

    /// Its life.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.io.mesh.incarnation()
    }

    /// Where it listens, with the ports that were really given.
    #[must_use]
    pub fn endpoints(&self) -> &[Address] {
        self.io.mesh.endpoints()
    }

    /// Its agents: to start more, and for ports.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Adds another node, or gives one that is known these addresses. It is not waited for in
    /// [`ready`](Self::ready).
    ///
    /// # Errors
    /// See [`AddPeerError`]; nothing has changed.
    pub fn add_node(&self, node: NodeId, addresses: Vec<Address>) -> Result<(), AddPeerError> {
        let peer = self.io.mesh.add_peer(node, addresses)?;
        self.links.add(peer, self.io.handle.clone());
        Ok(())
    }

    /// Waits until all nodes that it was started with are up. Its own agents are from the start.
    pub async fn ready(&self) {
        self.news.all_up(&self.expected).await;
    }

    /// Waits until a node cannot be reached; at once if it never was up. A link that broke a moment
    /// ago, whose conversation may go on over the next one, counts as up.
    pub async fn down(&self, node: NodeId) {
        self.news.down(node).await;
    }

    /// What happens between this node and the others, from now on.
    #[must_use]
    pub fn events(&self) -> NodeEvents {
        self.news.events()
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let missing = self.news.missing(&self.expected);
        status::of(&self.io.mesh.status(), &self.links, missing, self.runtime.status())
    }

    /// The same as text for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::prometheus(self.io.mesh.metrics(), &self.status())
    }

    /// Leaves in good order: its agents stop, what they sent is delivered, and the other nodes are
    /// told. What is not done `within` the time is given up and reported. Must be called neither by
    /// an agent nor within an asynchronous task.
    #[must_use]
    pub fn stop(self, within: Duration) -> StopReport {
        let deadline = Instant::now() + within;
        let Self { runtime, links, ended, io, .. } = self;
        // The I/O worker has no thread of its own; this one ends when it does.
        runtime.wait_also_for(move || {
            // The sender is dropped, never used.
            let _ = ended.blocking_recv();
        });
        let late = runtime.stop(within);
        let mesh = io.mesh.clone();
        let (unsent, drain) = io.wait_for(async move {
            let unsent = links.flushed(deadline.into()).await;
            let left = deadline.saturating_duration_since(Instant::now());
            (unsent, mesh.drain(left).await)
        });
        StopReport { late, unsent, drain }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("node", &self.node()).finish_non_exhaustive()
    }
}
