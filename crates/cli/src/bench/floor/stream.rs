//! Floors over byte streams: what raw TCP and TLS have in common.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpStream;

use crate::bench::end::{End, Task};
use crate::bench::floor::socket::{Sockets, listen};
use crate::bench::floor::work;
use crate::bench::latency::Distribution;
use crate::bench::subject::{BoxFuture, Flow, Load, Subject, Window};

/// What turns a TCP connection into the stream to measure.
pub trait Wire: Clone + Send + Sync + 'static {
    /// The stream.
    type Stream: work::Duplex;

    /// The connecting end.
    fn client(self, tcp: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The accepting end.
    fn server(self, tcp: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The floor over `W`. Every measurement has its own connection.
#[derive(Clone)]
pub struct StreamFloor<W> {
    wire: W,
    sockets: Sockets,
}

impl<W: Wire> StreamFloor<W> {
    /// Over `wire`.
    #[must_use]
    pub fn new(wire: W, sockets: Sockets) -> Self {
        Self { wire, sockets }
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let (a, b) = End::pair()?;
        let (address, listener) = listen()?;
        let (client, server) = (self.clone(), self.clone());
        let sender: Task<io::Result<()>> =
            a.spawn(async move { work::send(connect(client, address).await?, size).await });
        let receiver =
            b.spawn(
                async move { work::receive(accept(server, listener).await?, size, window).await },
            );
        let flow = receiver.join().await;
        drop(sender);
        flow.context("the floor's receiver failed")
    }

    async fn latencies(&self, load: Load, window: Window) -> anyhow::Result<Distribution> {
        let (a, b) = End::pair()?;
        let (address, listener) = listen()?;
        let (client, server) = (self.clone(), self.clone());
        let pinger =
            a.spawn(async move { work::ping(connect(client, address).await?, load, window).await });
        let echo: Task<io::Result<()>> =
            b.spawn(async move { work::echo(accept(server, listener).await?).await });
        let latencies = pinger.join().await;
        drop(echo);
        latencies.context("the floor's pinger failed")
    }
}

impl<W: Wire> Subject for StreamFloor<W> {
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

async fn connect<W: Wire>(floor: StreamFloor<W>, address: SocketAddr) -> io::Result<W::Stream> {
    floor.wire.client(floor.sockets.connect(address).await?).await
}

async fn accept<W: Wire>(
    floor: StreamFloor<W>,
    listener: std::net::TcpListener,
) -> io::Result<W::Stream> {
    floor.wire.server(floor.sockets.accept(listener).await?).await
}
