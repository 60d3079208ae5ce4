//! tonic: gRPC over HTTP/2 and TCP, with unary calls and a client stream.

mod codec;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use dx::bench::end::End;
use dx::bench::payload::Source;
use dx::bench::subject::{BoxFuture, Flow, PING_BYTES, Window};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use self::codec::BytesCodec;
use crate::contender::Contender;
use crate::load::{self, Enough, Receiver};

const ECHO: &str = "/bench.Bench/Echo";
const TAKE: &str = "/bench.Bench/Take";

/// Four times what the server would grant otherwise, so that the sender does not wait for it.
const HTTP2_WINDOW: u32 = 4 * 1024 * 1024;

/// A client and a server.
pub struct Tonic {
    channel: Channel,
    taking: Taking,
    a: End,
    /// Ends the server when it is dropped.
    _b: End,
}

/// The stream that the server takes next, and how it went.
#[derive(Clone)]
struct Taking {
    expected: Arc<Mutex<Option<(Receiver, Enough)>>>,
    results: mpsc::Sender<anyhow::Result<Flow>>,
    done: Arc<Mutex<mpsc::Receiver<anyhow::Result<Flow>>>>,
}

impl Tonic {
    /// Starts the server and connects the client.
    pub async fn start() -> anyhow::Result<Self> {
        let (a, b) = End::pair()?;
        let (results, done) = mpsc::channel(1);
        let taking = Taking { expected: Arc::default(), results, done: Arc::new(Mutex::new(done)) };
        let listener = std::net::TcpListener::bind((b.address(), 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let server = serve(listener, taking.clone());
        // Detached: it runs until its end is dropped.
        b.spawn(async move { tokio::spawn(server) }).join().await;
        let channel = a.spawn(connect(address)).join().await?;
        Ok(Self { channel, taking, a, _b: b })
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let enough = Enough::default();
        let receiver = Receiver::new(size, window);
        *self.taking.expected.lock().await = Some((receiver, enough.clone()));
        let sender = self.a.spawn(send_until(self.channel.clone(), size, enough));
        let flow = self.taking.done.lock().await.recv().await.context("the server is gone")?;
        sender.join().await?;
        flow
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW);
    Ok(endpoint.connect().await?)
}

async fn serve(listener: std::net::TcpListener, taking: Taking) -> anyhow::Result<()> {
    let incoming = TcpIncoming::from(TcpListener::from_std(listener)?).with_nodelay(Some(true));
    let service = tower::service_fn(move |request| answer(request, taking.clone()));
    let server = Server::builder()
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW);
    Ok(server.serve_with_incoming(service, incoming).await?)
}

/// What generated code does: picks the method, and lets tonic do the rest.
async fn answer(
    request: http::Request<Body>,
    taking: Taking,
) -> Result<http::Response<Body>, Infallible> {
    let mut grpc = tonic::server::Grpc::new(BytesCodec);
    if request.uri().path() == TAKE {
        let method = tower::service_fn(move |request| take(request, taking.clone()));
        Ok(grpc.client_streaming(method, request).await)
    } else {
        Ok(grpc.unary(tower::service_fn(echo), request).await)
    }
}

async fn echo(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    Ok(Response::new(request.into_inner()))
}

async fn take(
    request: Request<Streaming<Bytes>>,
    taking: Taking,
) -> Result<Response<Bytes>, Status> {
    let Some((receiver, enough)) = taking.expected.lock().await.take() else {
        return Err(Status::failed_precondition("no stream is expected"));
    };
    let flow = receive(request.into_inner(), receiver, &enough).await;
    // Whatever it was, the sender is to stop.
    enough.set();
    // If nobody waits any more, nobody wants to know.
    let _ = taking.results.send(flow).await;
    Ok(Response::new(Bytes::new()))
}

async fn receive(
    mut stream: Streaming<Bytes>,
    mut receiver: Receiver,
    enough: &Enough,
) -> anyhow::Result<Flow> {
    while let Some(message) = stream.message().await? {
        if receiver.take(&message)? {
            return receiver.finish();
        }
        if receiver.flow().is_some() {
            enough.set();
        }
    }
    anyhow::bail!("the stream broke before its end")
}

async fn send_until(channel: Channel, size: usize, enough: Enough) -> anyhow::Result<()> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let source = Source::new(size);
    let messages = futures::stream::unfold(Some(source), move |source| {
        let enough = enough.clone();
        async move {
            let mut source = source?;
            if enough.is_set() {
                return Some((Bytes::copy_from_slice(&source.end()), None));
            }
            Some((load::next(&mut source), Some(source)))
        }
    });
    let path = PathAndQuery::from_static(TAKE);
    let _: Response<Bytes> =
        grpc.client_streaming(Request::new(messages), path, BytesCodec).await?;
    Ok(())
}

async fn call(channel: Channel, message: Bytes) -> anyhow::Result<Bytes> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static(ECHO);
    let reply = grpc.unary(Request::new(message), path, BytesCodec).await?;
    Ok(reply.into_inner())
}

impl Contender for Tonic {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        Box::pin(self.flow(size, window))
    }

    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>> {
        let channel = self.channel.clone();
        let request = move |message| call(channel.clone(), message);
        let latencies = self.a.spawn(load::one_at_a_time(window, request)).join();
        Box::pin(async move { Ok(latencies.await?.percentile_us(0.5)) })
    }

    fn requests(&mut self, window: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>> {
        let channel = self.channel.clone();
        let request = move |message| call(channel.clone(), message);
        let flow = load::pipelined(PING_BYTES, window, request, load::is_echo);
        Some(Box::pin(self.a.spawn(flow).join()))
    }
}
