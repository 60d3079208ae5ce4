//! tarpc: its serde transport with bincode over TCP.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use dx::bench::end::End;
use dx::bench::payload::Checker;
use dx::bench::subject::{BoxFuture, Flow, PING_BYTES, Window};
use futures::{Future, StreamExt};
use tarpc::context;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tokio::net::{TcpListener, TcpStream};

use crate::contender::Contender;
use crate::load;

/// What the server offers.
#[tarpc::service]
trait Service {
    /// Returns the message.
    async fn echo(message: Bytes) -> Bytes;

    /// Checks and discards the message. Returns whether it was as it was sent.
    async fn take(message: Bytes) -> bool;
}

/// A client and a server.
pub struct Tarpc {
    client: ServiceClient,
    a: End,
    /// Ends the server when it is dropped.
    _b: End,
}

#[derive(Clone)]
struct Server;

impl Service for Server {
    async fn echo(self, _: context::Context, message: Bytes) -> Bytes {
        message
    }

    async fn take(self, _: context::Context, message: Bytes) -> bool {
        // Requests may overtake each other, so only the bytes are checked.
        Checker::number(&message, message.len(), 0).is_ok()
    }
}

impl Tarpc {
    /// Starts the server and connects the client.
    pub async fn start() -> anyhow::Result<Self> {
        let (a, b) = End::pair()?;
        let listener = TcpListener::bind((b.address(), 0)).await?.into_std()?;
        let address = listener.local_addr()?;
        // Detached: it runs until its end is dropped.
        b.spawn(async move { tokio::spawn(serve(listener)) }).join().await;
        let client = a.spawn(connect(address)).join().await?;
        Ok(Self { client, a, _b: b })
    }
}

async fn serve(listener: std::net::TcpListener) -> anyhow::Result<()> {
    let (stream, _) = TcpListener::from_std(listener)?.accept().await?;
    stream.set_nodelay(true)?;
    let framed = LengthDelimitedCodec::builder().new_framed(stream);
    let transport = tarpc::serde_transport::new(framed, Bincode::default());
    // As in its documentation: every request is a task.
    BaseChannel::with_defaults(transport).execute(Server.serve()).for_each(spawn).await;
    Ok(())
}

async fn spawn(request: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(request);
}

async fn connect(address: SocketAddr) -> anyhow::Result<ServiceClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let framed = LengthDelimitedCodec::builder().new_framed(stream);
    let transport = tarpc::serde_transport::new(framed, Bincode::default());
    Ok(ServiceClient::new(tarpc::client::Config::default(), transport).spawn())
}

async fn echo(client: ServiceClient, message: Bytes) -> anyhow::Result<Bytes> {
    client.echo(context::current(), message).await.context("a call failed")
}

async fn take(client: ServiceClient, message: Bytes) -> anyhow::Result<bool> {
    client.take(context::current(), message).await.context("a call failed")
}

fn is_taken(good: bool, _: u64) -> anyhow::Result<()> {
    anyhow::ensure!(good, "a message did not arrive as it was sent");
    Ok(())
}

impl Contender for Tarpc {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        let client = self.client.clone();
        let call = move |message| take(client.clone(), message);
        Box::pin(self.a.spawn(load::pipelined(size, window, call, is_taken)).join())
    }

    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>> {
        let client = self.client.clone();
        let call = move |message| echo(client.clone(), message);
        let latencies = self.a.spawn(load::one_at_a_time(window, call)).join();
        Box::pin(async move { Ok(latencies.await?.percentile_us(0.5)) })
    }

    fn requests(&mut self, window: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>> {
        let client = self.client.clone();
        let call = move |message| echo(client.clone(), message);
        let flow = load::pipelined(PING_BYTES, window, call, load::is_echo);
        Some(Box::pin(self.a.spawn(flow).join()))
    }
}
