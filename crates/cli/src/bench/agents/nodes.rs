//! Two nodes of this process, connected.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::RuntimeConfig;
use dx_agents::{NodeId, Registry};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::bench::mesh::Cluster;
use crate::bench::transport::TransportName;

/// The nodes.
pub struct Nodes {
    /// Of those who send and ask.
    pub here: Node,
    /// Of those who receive and answer.
    pub there: Node,
}

const HERE: NodeId = NodeId(1);
const THERE: NodeId = NodeId(2);

/// Nodes that are not connected within this time never will be.
const START: Duration = Duration::from_secs(30);

/// How long nodes may take to stop; they do so at once.
const STOP: Duration = Duration::from_secs(5);

impl Nodes {
    /// Starts and connects them.
    ///
    /// # Errors
    /// If they do not start or do not connect.
    pub async fn start(transport: TransportName) -> anyhow::Result<Self> {
        let nodes = spawn_blocking(move || Self::started(transport)).await??;
        let ready = async { tokio::join!(nodes.here.ready(), nodes.there.ready()) };
        timeout(START, ready).await.context("the nodes do not connect")?;
        Ok(nodes)
    }

    fn started(transport: TransportName) -> anyhow::Result<Self> {
        let cluster = Cluster::new()?;
        let config = |node, peer, addresses| {
            let mesh = cluster.node_at(node, transport, Ipv4Addr::LOCALHOST.into())?;
            let runtime = RuntimeConfig { pool: 1, crew: 1, ..RuntimeConfig::default() };
            anyhow::Ok(NodeConfig { mesh, runtime, peers: vec![(peer, addresses)] })
        };
        let here = Node::start(config(HERE, THERE, Vec::new())?, &Registry::new())?;
        let there = Node::start(config(THERE, HERE, here.endpoints().to_vec())?, &Registry::new())?;
        Ok(Self { here, there })
    }

    /// Stops them, and makes sure that nothing went astray.
    ///
    /// # Errors
    /// If a message reached nobody, or a node does not leave in good order.
    pub async fn end(self) -> anyhow::Result<()> {
        for node in [self.here, self.there] {
            let dead_letters = node.runtime().status().dead_letters;
            let report = spawn_blocking(move || node.stop(STOP)).await?;
            ensure!(dead_letters.is_empty(), "messages reached nobody: {dead_letters:?}");
            ensure!(report.late.is_empty(), "agents did not stop: {:?}", report.late);
        }
        Ok(())
    }
}
