//! Many nodes in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, Peer};
use tokio::task::JoinSet;

use crate::bench::end::{End, Task};
use crate::bench::mesh::{self, Cluster, pair};
use crate::bench::payload::{Checked, Checker, Source};
use crate::bench::subject::{PING_BYTES, Window};
use crate::bench::transport::TransportName;

/// Messages to one peer before it is the next one's turn.
const BURST: usize = 32;

/// Nodes that know each other, shared out over two threads.
pub struct Crowd {
    nodes: Vec<Arc<Mesh>>,
    ends: (End, End),
}

impl Crowd {
    /// Starts them.
    pub async fn start(transport: TransportName, count: u32) -> anyhow::Result<Self> {
        let cluster = Cluster::new()?;
        let ends = End::pair()?;
        let mut crowd = Self { nodes: Vec::new(), ends };
        for number in 0..count {
            let end = crowd.end(number as usize);
            let config = cluster.node(NodeId(number), transport, end)?;
            let node = pair::start(end, config).await?;
            crowd.nodes.push(node);
        }
        Ok(crowd)
    }

    fn end(&self, index: usize) -> &End {
        if index.is_multiple_of(2) { &self.ends.0 } else { &self.ends.1 }
    }

    /// Introduces all to all, both ways at once, and waits until everybody is up with everybody.
    pub async fn connect(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.node() != node.node()) {
                node.add_peer(other.node(), other.endpoints().to_vec())?;
            }
        }
        let mut waiting = JoinSet::new();
        for node in &self.nodes {
            let (node, others) = (Arc::clone(node), self.nodes.len() - 1);
            waiting.spawn(async move { mesh::wait_until_up(&node, others).await });
        }
        while let Some(up) = waiting.join_next().await {
            up??;
        }
        Ok(())
    }

    /// Everybody sends to everybody; returns how many messages per second arrive at all together.
    pub async fn talk(&self, window: Window) -> anyhow::Result<f64> {
        let enough = Arc::new(AtomicBool::new(false));
        let arrived = Arc::new(AtomicU64::new(0));
        let mut tasks: Vec<Task<anyhow::Result<()>>> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let end = self.end(index);
            tasks.push(end.spawn(listen(node.clone(), self.nodes.len(), arrived.clone())));
            tasks.push(end.spawn(speak(node.peers(), enough.clone())));
        }
        tokio::time::sleep(window.warmup).await;
        let (began, before) = (Instant::now(), arrived.load(Ordering::Relaxed));
        tokio::time::sleep(window.measure).await;
        let count = arrived.load(Ordering::Relaxed) - before;
        let elapsed = began.elapsed().as_secs_f64();
        enough.store(true, Ordering::Relaxed);
        for task in tasks {
            task.join().await?;
        }
        let rate = count as f64 / elapsed;
        Ok(rate)
    }
}

/// Sends to one peer after the other until `enough` is set.
async fn speak(peers: Vec<Peer>, enough: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut streams: Vec<(Peer, Source)> =
        peers.into_iter().map(|peer| (peer, Source::new(PING_BYTES))).collect();
    while !enough.load(Ordering::Relaxed) {
        for (peer, source) in &mut streams {
            for _ in 0..BURST {
                pair::send(peer, Lane::DATA, source).await?;
            }
        }
        // Its thread has other nodes to serve.
        tokio::task::yield_now().await;
    }
    for (peer, source) in &streams {
        peer.send(Lane::DATA, &source.end()).await?;
    }
    Ok(())
}

/// Receives and checks what all others send, to their ends.
async fn listen(mesh: Arc<Mesh>, nodes: usize, arrived: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut checkers = vec![Checker::new(PING_BYTES); nodes];
    let mut talking = nodes - 1;
    while talking > 0 {
        let batch = mesh.recv(Lane::DATA).await;
        let checker = &mut checkers[batch.peer().0 as usize];
        let before = checker.received();
        for message in &batch {
            if checker.check(&message)? == Checked::End {
                talking -= 1;
            }
        }
        arrived.fetch_add(checker.received() - before, Ordering::Relaxed);
    }
    Ok(())
}
