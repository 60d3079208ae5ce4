//! Every node with every other, in one process: coming up, talking, idling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, Peer};
use tokio::task::JoinSet;

use crate::bench::cpu;
use crate::bench::end::{End, Task};
use crate::bench::mesh::{self, Cluster, pair};
use crate::bench::payload::{Checked, Checker, Source};
use crate::bench::report::{Param, Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::{PING_BYTES, Window};
use crate::bench::transport::TransportName;

/// Nodes, unless `--nodes` says otherwise.
const NODES: u32 = 16;

/// Nodes of a quick run.
const QUICK_NODES: u32 = 8;

/// Messages to one peer before it is the next one's turn.
const BURST: usize = 32;

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let window = run.options.window(run.name, transports.len() * 2);
    let count = run.options.nodes.unwrap_or(if run.options.quick { QUICK_NODES } else { NODES });
    run.output.progress.expect(transports.len() as u64);
    for transport in transports {
        run.output.progress.begin(format!("all-to-all, {transport}, {count} nodes"));
        let params = Params::new()
            .with("transport", transport.name().into())
            .with("nodes", Param::Count(count.into()));
        if let Err(error) = over(run, &params, transport, count, window).await {
            run.failed(params, &error)?;
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn over(
    run: &mut Run<'_>,
    params: &Params,
    transport: TransportName,
    count: u32,
    window: Window,
) -> anyhow::Result<()> {
    let memory_before = cpu::resident_bytes();
    let crowd = Crowd::start(transport, count).await?;
    let began = Instant::now();
    crowd.connect().await?;
    let up = began.elapsed().as_secs_f64() * 1e6;
    run.report(params, ("up", Unit::Microseconds), Some(up), None)?;

    let idle = idle(window.measure).await;
    let memory = memory_before.zip(cpu::resident_bytes()).map(|(b, a)| a.saturating_sub(b));
    let peers = f64::from(count) * f64::from(count - 1);
    let per_peer = memory.map(|bytes| bytes as f64 / peers);
    let per_node = idle / f64::from(count) * 100.0;
    run.report(params, ("idle CPU per node", Unit::Percent), Some(per_node), None)?;
    run.report(params, ("memory per peer", Unit::Bytes), per_peer, None)?;

    let rate = crowd.talk(window).await?;
    run.report(params, ("messages", Unit::MessagesPerSecond), Some(rate), None)
}

/// The share of a core that this process uses while nobody asks for anything.
async fn idle(time: Duration) -> f64 {
    let (began, before) = (Instant::now(), cpu::time());
    tokio::time::sleep(time).await;
    cpu::time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// Nodes that know each other, shared out over two threads.
struct Crowd {
    nodes: Vec<Arc<Mesh>>,
    ends: (End, End),
}

impl Crowd {
    async fn start(transport: TransportName, count: u32) -> anyhow::Result<Self> {
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
    async fn connect(&self) -> anyhow::Result<()> {
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
    async fn talk(&self, window: Window) -> anyhow::Result<f64> {
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
