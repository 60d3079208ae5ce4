//! A ring of nodes of this process, on loopback or on hosts of a laboratory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::RuntimeConfig;
use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_ring::{Member, RingConfig};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::ledger::Ledger;
use super::load::{Load, Source};
use crate::bench::laboratory::Site;
use crate::bench::mesh::Cluster;
use crate::bench::transport::TransportName;
use crate::kinds::ring_member::Model;

/// What a ring is made of.
#[derive(Clone, Copy, Debug)]
pub struct Kit {
    /// How messages get round.
    pub model: Model,
    /// Over what.
    pub transport: TransportName,
    /// How many members.
    pub members: usize,
    /// How many of them send, those with the lowest ids.
    pub senders: usize,
    /// How.
    pub load: Load,
}

/// The nodes, and what their members write down.
pub struct Circle {
    nodes: Vec<Node>,
    /// See [`Ledger`].
    pub ledger: Arc<Ledger>,
    /// The hosts end after the nodes.
    _sites: Arc<Vec<Site>>,
}

const KIND: &str = "bench-ring";

/// A ring that delivers nothing within this time never will.
const START: Duration = Duration::from_secs(30);

/// How long nodes may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// The time between two looks whether a ring has begun.
const LOOK: Duration = Duration::from_millis(1);

impl Circle {
    /// Starts it, and waits until all members deliver. Without sites, it is on loopback.
    ///
    /// # Errors
    /// If it does not begin.
    pub async fn start(kit: Kit, sites: Vec<Site>) -> anyhow::Result<Self> {
        let sites = Arc::new(sites);
        let ledger = Arc::new(Ledger::new(kit.members));
        let (shared, hosts) = (Arc::clone(&ledger), Arc::clone(&sites));
        let nodes = spawn_blocking(move || start(kit, &shared, &hosts)).await??;
        let begun = async {
            while ledger.count().messages == 0 {
                sleep(LOOK).await;
            }
        };
        timeout(START, begun).await.context("the ring does not begin to deliver")?;
        Ok(Self { nodes, ledger, _sites: sites })
    }

    /// Stops it, and makes sure that nothing went astray.
    ///
    /// # Errors
    /// If something was delivered that should not have been, or a member was suspected.
    pub async fn end(self) -> anyhow::Result<()> {
        self.ledger.stop();
        let wrong = self.ledger.wrong();
        let stopping = self.nodes.into_iter().map(|node| spawn_blocking(move || node.stop(STOP)));
        for stopped in stopping.collect::<Vec<_>>() {
            stopped.await?;
        }
        ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
        Ok(())
    }
}

fn start(kit: Kit, ledger: &Arc<Ledger>, sites: &[Site]) -> anyhow::Result<Vec<Node>> {
    let cluster = Cluster::new()?;
    let ids: Vec<u32> = (1..).take(kit.members).collect();
    let members: Vec<AgentId> = ids.iter().map(|id| AgentId(u64::from(*id))).collect();
    let config = RingConfig::new(members.clone());
    let options = Options { mailbox: config.mailbox(), ..Options::default() };
    let agents = ids.iter().map(|id| AgentSpec {
        id: AgentId(u64::from(*id)),
        kind: KIND.to_owned(),
        node: NodeId(*id),
        attr: Value::Null,
        options: options.clone(),
    });
    let directory = Arc::new(Directory::new(agents));
    let ledger = Arc::clone(ledger);
    let registry = Registry::new().kind(KIND, move |spec, directory| {
        let sends = spec.id.0 <= kit.senders as u64;
        let load = if sends { kit.load } else { Load::None };
        let source = Source::new(load, Arc::clone(&ledger), kit.members);
        let config = RingConfig::new(directory.by_kind(KIND).to_vec());
        Ok(Member::new(config, kit.model.make((0.0, 0))?, source))
    });
    let mut nodes: Vec<Node> = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let address = sites.get(at).map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |site| site.address);
        let mesh = cluster.node_at(NodeId(*id), kit.transport, address)?;
        let runtime = RuntimeConfig {
            pool: 1,
            crew: 1,
            directory: Arc::clone(&directory),
            ..RuntimeConfig::default()
        };
        // Those that are there are dialed; those that come, dial.
        let peers = ids.iter().filter(|peer| *peer != id).map(|peer| {
            let known = nodes.get(*peer as usize - 1).map(|node| node.endpoints().to_vec());
            (NodeId(*peer), known.unwrap_or_default())
        });
        let config = NodeConfig { mesh, runtime, peers: peers.collect() };
        let mut started = None;
        match sites.get(at) {
            Some(site) => {
                (site.enter)(Box::new(|| started = Some(Node::start(config, &registry))));
            }
            None => started = Some(Node::start(config, &registry)),
        }
        nodes.push(started.context("the host did nothing")??);
    }
    Ok(nodes)
}
