//! dx: two nodes that `dx bench` would measure as well.

use std::sync::Arc;

use anyhow::Context;
use dx::bench::mesh::{Pair, pair};
use dx::bench::payload::{Checker, Source};
use dx::bench::subject::{BoxFuture, Flow, Load, Meter, PING_BYTES, Subject, Window};
use dx::bench::transport::TransportName;
use dx_transport::lane::Lane;

use crate::contender::Contender;
use crate::load::IN_FLIGHT;

/// Two connected nodes.
pub struct Mesh(Pair);

impl Mesh {
    /// Starts and connects them.
    pub async fn start(transport: TransportName) -> anyhow::Result<Self> {
        Ok(Self(Pair::start(transport).await?))
    }

    /// Echoes with [`IN_FLIGHT`] messages under way.
    async fn echoes(&self, window: Window) -> anyhow::Result<Flow> {
        let (a, b) = (&self.0.a, &self.0.b);
        let echo = b.end.spawn(echo(Arc::clone(&b.mesh), b.peer.clone()));
        let pinger = a.end.spawn(keep_under_way(Arc::clone(&a.mesh), a.peer.clone(), window));
        let flow = pinger.join().await;
        drop(echo);
        flow
    }
}

impl Contender for Mesh {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        self.0.one_way(size, window)
    }

    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>> {
        let latencies = self.0.round_trips(Load::ClosedLoop, window);
        Box::pin(async move { Ok(latencies.await?.percentile_us(0.5)) })
    }

    fn requests(&mut self, window: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>> {
        Some(Box::pin(self.echoes(window)))
    }
}

/// Sends every message back.
async fn echo(
    mesh: Arc<dx_transport::mesh::Mesh>,
    peer: dx_transport::mesh::Peer,
) -> anyhow::Result<()> {
    loop {
        for message in &mesh.recv(Lane::DATA).await {
            peer.send(Lane::DATA, &message).await?;
        }
    }
}

async fn keep_under_way(
    mesh: Arc<dx_transport::mesh::Mesh>,
    peer: dx_transport::mesh::Peer,
    window: Window,
) -> anyhow::Result<Flow> {
    let (mut source, mut checker) = (Source::new(PING_BYTES), Checker::new(PING_BYTES));
    for _ in 0..IN_FLIGHT {
        pair::send(&peer, Lane::DATA, &mut source).await?;
    }
    let mut meter = Meter::new(window);
    let mut flow = None;
    // What is under way at the end is awaited: the next scenario uses the same nodes.
    while checker.received() < source.sent() {
        let before = checker.received();
        for message in &mesh.recv(Lane::DATA).await {
            checker.check(&message)?;
        }
        let count = checker.received() - before;
        if flow.is_none() {
            flow = meter.add(count, count * PING_BYTES as u64);
            for _ in 0..count {
                pair::send(&peer, Lane::DATA, &mut source).await?;
            }
        }
    }
    flow.context("all echoes arrived before the window was over")
}
