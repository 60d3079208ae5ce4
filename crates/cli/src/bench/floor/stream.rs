//! Floors over byte streams: what raw TCP and TLS have in common.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};

use crate::bench::end::{End, Task};
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
pub struct StreamFloor<W> {
    wire: W,
}

impl<W: Wire> StreamFloor<W> {
    /// Over `wire`.
    #[must_use]
    pub fn new(wire: W) -> Self {
        Self { wire }
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let (a, b) = End::pair()?;
        let (address, listener) = listen()?;
        let (client, server) = (self.wire.clone(), self.wire.clone());
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
        let (client, server) = (self.wire.clone(), self.wire.clone());
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

fn listen() -> anyhow::Result<(SocketAddr, std::net::TcpListener)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("failed to listen on 127.0.0.1")?;
    listener.set_nonblocking(true)?;
    Ok((listener.local_addr()?, listener))
}

async fn connect<W: Wire>(wire: W, address: SocketAddr) -> io::Result<W::Stream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    wire.client(tcp).await
}

async fn accept<W: Wire>(wire: W, listener: std::net::TcpListener) -> io::Result<W::Stream> {
    let (tcp, _) = TcpListener::from_std(listener)?.accept().await?;
    tcp.set_nodelay(true)?;
    wire.server(tcp).await
}
