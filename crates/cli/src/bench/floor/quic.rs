//! quinn with one ordered stream in each direction, whole batches per write.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream,
    ServerConfig, TransportConfig, VarInt,
};
use socket2::SockRef;
use tokio::io::Join;

use crate::bench::end::{End, Task};
use crate::bench::floor::certificate::{self, SERVER_NAME};
use crate::bench::floor::{frames, work};
use crate::bench::latency::Distribution;
use crate::bench::subject::{BoxFuture, Flow, Load, Meter, Subject, Window};

/// The floor over quinn. Every measurement has its own connection.
pub struct QuicFloor {
    configs: Configs,
}

/// How quinn is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// As dx's quic transport does on loopback.
    LikeDx,
    /// As it comes.
    Untouched,
}

#[derive(Clone)]
struct Configs {
    settings: Settings,
    client: ClientConfig,
    server: ServerConfig,
    endpoint: EndpointConfig,
}

/// Chunks that the receiver takes at a time.
const READ_CHUNKS: usize = 32;

impl QuicFloor {
    /// With a certificate of its own.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        let (transport, endpoint) = match settings {
            Settings::LikeDx => like_dx()?,
            Settings::Untouched => (TransportConfig::default(), EndpointConfig::default()),
        };
        let transport = Arc::new(transport);
        let tls = certificate::configs()?;
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls.client)?));
        client.transport_config(Arc::clone(&transport));
        let server = Arc::new(QuicServerConfig::try_from(tls.server)?);
        let mut server = ServerConfig::with_crypto(server);
        server.transport_config(transport);
        Ok(Self { configs: Configs { settings, client, server, endpoint } })
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let ends = Ends::start(&self.configs).await?;
        let receiver = ends.b.spawn(receive(ends.server.clone(), size, window));
        let sender: Task<anyhow::Result<()>> = ends.a.spawn(send(ends.client.clone(), size));
        let flow = receiver.join().await;
        drop(sender);
        flow.context("the floor's receiver failed")
    }

    async fn latencies(&self, load: Load, window: Window) -> anyhow::Result<Distribution> {
        let ends = Ends::start(&self.configs).await?;
        let echo: Task<anyhow::Result<()>> = ends.b.spawn(echo(ends.server.clone()));
        let pinger = ends.a.spawn(ping(ends.client.clone(), load, window));
        let latencies = pinger.join().await;
        drop(echo);
        latencies.context("the floor's pinger failed")
    }
}

impl Subject for QuicFloor {
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

/// Two connected ends, each with an endpoint of its own.
struct Ends {
    client: Connection,
    server: Connection,
    a: End,
    b: End,
}

impl Ends {
    async fn start(configs: &Configs) -> anyhow::Result<Self> {
        let (a, b) = End::pair()?;
        let accepting = configs.clone();
        let server = b.spawn(async move { endpoint(&accepting) }).join().await?;
        let address = server.local_addr()?;
        let accepted = b.spawn(accept(server));
        let dialing = configs.clone();
        let client = a.spawn(async move { dial(&endpoint(&dialing)?, address).await });
        let (client, server) = (client.join().await?, accepted.join().await?);
        Ok(Self { client, server, a, b })
    }
}

fn endpoint(configs: &Configs) -> anyhow::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .context("failed to bind a UDP port on 127.0.0.1")?;
    if configs.settings == Settings::LikeDx {
        let socket = SockRef::from(&socket);
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
    }
    let runtime = quinn::default_runtime().context("the endpoint is opened inside of tokio")?;
    let server = Some(configs.server.clone());
    let mut endpoint = Endpoint::new(configs.endpoint.clone(), server, socket, runtime)?;
    endpoint.set_default_client_config(configs.client.clone());
    Ok(endpoint)
}

// As the constants of the same names in dx's transports; a test compares them.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
const RECEIVE_WINDOW: u32 = 64 * 1024 * 1024;
const LOOPBACK_PACKET: u16 = 6000;
const INITIAL_RTT: Duration = Duration::from_millis(10);
const ACK_PACKETS: u32 = 10;
const ACK_DELAY: Duration = Duration::from_millis(5);
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// The settings of dx's quic transport within a host: windows, packets, acknowledgements.
fn like_dx() -> anyhow::Result<(TransportConfig, EndpointConfig)> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_PACKETS)).max_ack_delay(Some(ACK_DELAY));
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(RECEIVE_WINDOW.into())
        .initial_rtt(INITIAL_RTT)
        .ack_frequency_config(Some(acks))
        .initial_mtu(LOOPBACK_PACKET)
        .mtu_discovery_config(None);
    let mut endpoint = EndpointConfig::default();
    endpoint.max_udp_payload_size(LOOPBACK_PACKET)?;
    Ok((transport, endpoint))
}

async fn accept(endpoint: Endpoint) -> anyhow::Result<Connection> {
    let incoming = endpoint.accept().await.context("the endpoint was closed")?;
    Ok(incoming.await?)
}

async fn dial(endpoint: &Endpoint, address: SocketAddr) -> anyhow::Result<Connection> {
    Ok(endpoint.connect(address, SERVER_NAME)?.await?)
}

async fn send(connection: Connection, size: usize) -> anyhow::Result<()> {
    let mut stream = connection.open_uni().await?;
    let buffer = if size < work::WRITE_BYTES {
        frames::encode(size, work::WRITE_BYTES)
    } else {
        vec![7; size]
    };
    let buffer = Bytes::from(buffer);
    loop {
        stream.write_chunk(buffer.clone()).await?;
    }
}

async fn receive(connection: Connection, size: usize, window: Window) -> anyhow::Result<Flow> {
    let mut stream = connection.accept_uni().await?;
    let mut meter = Meter::new(window);
    let mut chunks: [Bytes; READ_CHUNKS] = std::array::from_fn(|_| Bytes::new());
    // A frame on the wire is what was written, so bytes tell the number of frames.
    let frame = if size < work::WRITE_BYTES { size + 4 } else { size };
    let mut rest = 0;
    loop {
        let read = stream.read_chunks(&mut chunks).await?.context("the sender ended")?;
        rest += chunks[..read].iter().map(Bytes::len).sum::<usize>();
        let count = (rest / frame) as u64;
        rest %= frame;
        if let Some(flow) = meter.add(count, count * size as u64) {
            return Ok(flow);
        }
    }
}

fn duplex(receive: RecvStream, send: SendStream) -> Join<RecvStream, SendStream> {
    tokio::io::join(receive, send)
}

async fn ping(connection: Connection, load: Load, window: Window) -> anyhow::Result<Distribution> {
    let (send, receive) = connection.open_bi().await?;
    Ok(work::ping(duplex(receive, send), load, window).await?)
}

async fn echo(connection: Connection) -> anyhow::Result<()> {
    let (send, receive) = connection.accept_bi().await?;
    Ok(work::echo(duplex(receive, send)).await?)
}
