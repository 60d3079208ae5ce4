//! Two nodes, each on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig, Peer};

use crate::bench::end::End;
use crate::bench::latency::Distribution;
use crate::bench::mesh::{Cluster, Gauge, wait_until_up};
use crate::bench::pace::{Pacer, Schedule};
use crate::bench::payload::{Checked, Checker, Message, Source};
use crate::bench::subject::{BoxFuture, Flow, Load, Meter, PING_BYTES, Subject, Window};
use crate::bench::transport::TransportName;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

/// Two connected nodes.
pub struct Pair {
    /// The node that sends, where only one does.
    pub a: Node,
    /// The node that receives.
    pub b: Node,
}

/// A node and the way to its peer.
pub struct Node {
    /// Its mesh.
    pub mesh: Arc<Mesh>,
    /// The other node.
    pub peer: Peer,
    /// The thread that it runs on.
    pub end: End,
}

impl Pair {
    /// Starts and connects them, within this host.
    ///
    /// # Errors
    /// If one does not start, or they do not connect.
    pub async fn start(transport: TransportName) -> anyhow::Result<Self> {
        let (cluster, ends) = (Cluster::new()?, End::pair()?);
        let a = cluster.node(A, transport, &ends.0)?;
        let b = cluster.node(B, transport, &ends.1)?;
        Self::connect(ends, a, b).await
    }

    /// Starts and connects them where `ends` are, with a probe at `b`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_probed(
        transport: TransportName,
        ends: (End, End),
        gauge: &Gauge,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::new()?;
        let a = cluster.node(A, transport, &ends.0)?;
        let b = cluster.probed_node(B, transport, &ends.1, gauge)?;
        Self::connect(ends, a, b).await
    }

    async fn connect(ends: (End, End), a: MeshConfig, b: MeshConfig) -> anyhow::Result<Self> {
        let (a, b) = (start(&ends.0, a).await?, start(&ends.1, b).await?);
        let to_a = b.add_peer(A, a.endpoints().to_vec())?;
        let to_b = a.add_peer(B, b.endpoints().to_vec())?;
        tokio::try_join!(wait_until_up(&a, 1), wait_until_up(&b, 1))?;
        Ok(Self {
            a: Node { mesh: a, peer: to_b, end: ends.0 },
            b: Node { mesh: b, peer: to_a, end: ends.1 },
        })
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let enough = Arc::new(AtomicBool::new(false));
        let sender = self.a.end.spawn(send_until(
            self.a.peer.clone(),
            Lane::DATA,
            Source::new(size),
            Arc::clone(&enough),
        ));
        let mesh = Arc::clone(&self.b.mesh);
        let receiver = self.b.end.spawn(receive(mesh, Lane::DATA, size, window, enough));
        let flow = receiver.join().await?;
        sender.join().await?;
        Ok(flow)
    }

    async fn latencies(&self, load: Load, window: Window) -> anyhow::Result<Distribution> {
        let echo = self.b.end.spawn(echo(Arc::clone(&self.b.mesh), self.b.peer.clone()));
        let (mesh, peer) = (Arc::clone(&self.a.mesh), self.a.peer.clone());
        let pinger = self.a.end.spawn(async move {
            match load {
                Load::ClosedLoop => ping_closed(&mesh, &peer, window).await,
                Load::PerSecond(rate) => ping_open(&mesh, &peer, rate, window).await,
            }
        });
        let latencies = pinger.join().await;
        drop(echo);
        latencies
    }
}

impl Subject for Pair {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        Box::pin(self.flow(size, window))
    }

    fn round_trips(
        &mut self,
        load: Load,
        window: Window,
    ) -> BoxFuture<'_, anyhow::Result<Distribution>> {
        Box::pin(self.latencies(load, window))
    }
}

/// Starts a mesh on the thread of `end`.
///
/// # Errors
/// If it does not start.
pub async fn start(end: &End, config: MeshConfig) -> anyhow::Result<Arc<Mesh>> {
    let mesh = end.spawn(Mesh::start(config)).join().await;
    Ok(Arc::new(mesh.context("failed to start a node")?))
}

/// Sends one message of `source`, as soon as there is room.
///
/// # Errors
/// If the peer is gone.
pub async fn send(peer: &Peer, lane: Lane, source: &mut Source) -> anyhow::Result<()> {
    match source.message() {
        Message::Copied(bytes) => peer.send(lane, bytes).await?,
        Message::Shared(bytes) => peer.send_bytes(lane, bytes).await?,
    }
    Ok(())
}

/// Sends messages until `enough` is set, and then how many there were.
///
/// # Errors
/// If the peer is gone.
pub async fn send_until(
    peer: Peer,
    lane: Lane,
    mut source: Source,
    enough: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    while !enough.load(Ordering::Relaxed) {
        send(&peer, lane, &mut source).await?;
    }
    peer.send(lane, &source.end()).await?;
    Ok(())
}

/// Receives and checks messages until their end, and measures within the window.
async fn receive(
    mesh: Arc<Mesh>,
    lane: Lane,
    size: usize,
    window: Window,
    enough: Arc<AtomicBool>,
) -> anyhow::Result<Flow> {
    let mut meter = Meter::new(window);
    let mut checker = Checker::new(size);
    let mut flow = None;
    loop {
        let batch = mesh.recv(lane).await;
        let before = checker.received();
        for message in &batch {
            if checker.check(&message)? == Checked::End {
                return flow.context("the sender ended before the window did");
            }
        }
        let count = checker.received() - before;
        if flow.is_none() {
            flow = meter.add(count, count * size as u64);
            enough.store(flow.is_some(), Ordering::Relaxed);
        }
    }
}

/// Sends every message back.
async fn echo(mesh: Arc<Mesh>, peer: Peer) -> anyhow::Result<()> {
    loop {
        let batch = mesh.recv(Lane::DATA).await;
        for message in &batch {
            peer.send(Lane::DATA, &message).await?;
        }
    }
}

async fn ping_closed(mesh: &Mesh, peer: &Peer, window: Window) -> anyhow::Result<Distribution> {
    let mut latencies = Distribution::new();
    let (mut source, mut checker) = (Source::new(PING_BYTES), Checker::new(PING_BYTES));
    let begin = Instant::now();
    loop {
        let sent = Instant::now();
        send(peer, Lane::DATA, &mut source).await?;
        while checker.received() < source.sent() {
            for message in &mesh.recv(Lane::DATA).await {
                checker.check(&message)?;
            }
        }
        let now = Instant::now();
        if now - begin >= window.warmup {
            latencies.record_duration(now - sent);
        }
        if now - begin >= window.whole() {
            return Ok(latencies);
        }
    }
}

async fn ping_open(
    mesh: &Mesh,
    peer: &Peer,
    rate: u32,
    window: Window,
) -> anyhow::Result<Distribution> {
    let (warmup, total) = window.messages(rate);
    let pacer = Pacer::start(rate)?;
    let schedule = pacer.schedule();
    let sending = send_paced(peer, Lane::DATA, pacer, total, |_| {});
    let receiving = receive_paced(mesh, Lane::DATA, schedule, warmup..total, |_| {});
    let ((), latencies) = tokio::try_join!(sending, receiving)?;
    Ok(latencies)
}

/// Sends `total` messages when they are due; `before_each` gets their numbers.
///
/// # Errors
/// If the peer is gone.
pub async fn send_paced(
    peer: &Peer,
    lane: Lane,
    mut pacer: Pacer,
    total: u64,
    before_each: impl Fn(u64),
) -> anyhow::Result<()> {
    let mut source = Source::new(PING_BYTES);
    while source.sent() < total {
        let due = pacer.due().await?;
        for number in due.start..due.end.min(total) {
            before_each(number);
            send(peer, lane, &mut source).await?;
        }
    }
    Ok(())
}

/// Receives and checks messages up to `numbers.end`; returns the latencies of those in `numbers`,
/// from when they were due. `after_each` gets their numbers.
///
/// # Errors
/// If a message is not as it was sent.
pub async fn receive_paced(
    mesh: &Mesh,
    lane: Lane,
    schedule: Schedule,
    numbers: std::ops::Range<u64>,
    mut after_each: impl FnMut(u64),
) -> anyhow::Result<Distribution> {
    let mut latencies = Distribution::new();
    let mut checker = Checker::new(PING_BYTES);
    while checker.received() < numbers.end {
        let batch = mesh.recv(lane).await;
        let now = Instant::now();
        for message in &batch {
            let number = checker.received();
            checker.check(&message)?;
            if numbers.contains(&number) {
                latencies.record_duration(now - schedule.due_at(number));
                after_each(number);
            }
        }
    }
    Ok(latencies)
}
