//! NATS: two clients and the broker between them.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::{Client, ConnectOptions, Subscriber};
use bytes::Bytes;
use dx::bench::end::{End, Task};
use dx::bench::payload::Source;
use dx::bench::subject::{BoxFuture, Flow, PING_BYTES, Window};
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Notify;

use crate::contender::Contender;
use crate::load::{self, Enough, Receiver};

/// Debian installs it there, which is not in everybody's `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"];

/// A broker that is not ready by then never will be.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Bytes that the publisher is ahead of the subscriber at most. The broker drops a subscriber that
/// is 64 MiB behind, and the client drops messages beyond 65,536.
const MOST_AHEAD_BYTES: u64 = 4 * 1024 * 1024;

/// Messages that the publisher is ahead at most; half of what the client holds.
const MOST_AHEAD: u64 = 32 * 1024;

/// Bytes after which the publisher flushes and looks how far ahead it is, and after which the
/// subscriber says how far it is.
const BYTES_PER_FLUSH: u64 = 256 * 1024;

/// A client at each end, and the broker.
pub struct Nats {
    a: End,
    b: End,
    publisher: Client,
    subscriber: Client,
    _broker: Broker,
    _log: Task<()>,
}

/// The broker's process; killed when dropped.
struct Broker {
    _process: Child,
    address: SocketAddr,
}

/// How far the subscriber has come.
#[derive(Default)]
struct Progress {
    received: AtomicU64,
    more: Notify,
}

/// Why there is no broker to measure with, if there is none.
pub fn missing() -> Option<String> {
    let found = program().is_some();
    (!found).then(|| "nats-server is missing: as root, apt-get install nats-server".to_owned())
}

/// The broker's version, as it says itself.
pub fn version() -> Option<String> {
    let output = std::process::Command::new(program()?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().trim_start_matches("nats-server: v").to_owned())
}

fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|file| std::path::Path::new(file).exists())
}

impl Nats {
    /// Starts the broker, and connects two clients to it.
    pub async fn start() -> anyhow::Result<Self> {
        let (a, b) = End::pair()?;
        let (broker, log) = Broker::start().await?;
        let publisher = a.spawn(connect(broker.address)).join().await?;
        let subscriber = b.spawn(connect(broker.address)).join().await?;
        let log = a.spawn(discard(log));
        Ok(Self { a, b, publisher, subscriber, _broker: broker, _log: log })
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let (enough, progress) = (Enough::default(), Arc::new(Progress::default()));
        let client = self.subscriber.clone();
        let subscriber = self.b.spawn(subscribe(client, "flow")).join().await?;
        let receiver = Receiver::new(size, window);
        let receiver = self.b.spawn(receive(
            subscriber,
            size,
            receiver,
            enough.clone(),
            Arc::clone(&progress),
        ));
        let sender = send_until(self.publisher.clone(), size, enough, progress);
        let sender = self.a.spawn(sender);
        let flow = receiver.join().await?;
        sender.join().await?;
        Ok(flow)
    }

    async fn echo(&self) -> anyhow::Result<Task<anyhow::Result<()>>> {
        let client = self.subscriber.clone();
        let subscriber = self.b.spawn(subscribe(client.clone(), "echo")).join().await?;
        Ok(self.b.spawn(echo(client, subscriber)))
    }

    async fn latency(&self, window: Window) -> anyhow::Result<Option<f64>> {
        let echo = self.echo().await?;
        let client = self.publisher.clone();
        let request = move |message| request(client.clone(), message);
        let latencies = self.a.spawn(load::one_at_a_time(window, request)).join().await?;
        drop(echo);
        Ok(latencies.percentile_us(0.5))
    }

    async fn replies(&self, window: Window) -> anyhow::Result<Flow> {
        let echo = self.echo().await?;
        let client = self.publisher.clone();
        let request = move |message| request(client.clone(), message);
        let flow = load::pipelined(PING_BYTES, window, request, load::is_echo);
        let flow = self.a.spawn(flow).join().await;
        drop(echo);
        flow
    }
}

impl Broker {
    async fn start() -> anyhow::Result<(Self, Lines<BufReader<ChildStderr>>)> {
        let program = program().context("nats-server is missing")?;
        let mut process = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", "-1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = process.stderr.take().context("standard error is piped")?;
        let mut lines = BufReader::new(log).lines();
        let address = tokio::time::timeout(START_LIMIT, address(&mut lines)).await??;
        Ok((Self { _process: process, address }, lines))
    }
}

/// Reads the log until it says where the broker listens, and that it does.
async fn address(log: &mut Lines<BufReader<ChildStderr>>) -> anyhow::Result<SocketAddr> {
    let mut address = None;
    while let Some(line) = log.next_line().await? {
        if let Some((_, found)) = line.split_once("Listening for client connections on ") {
            address = Some(found.trim().parse()?);
        }
        if line.contains("Server is ready") {
            return address.context("nats-server does not say where it listens");
        }
    }
    bail!("nats-server ended at once")
}

/// Somebody has to read what the broker has to say.
async fn discard(mut log: Lines<BufReader<ChildStderr>>) {
    while let Ok(Some(_)) = log.next_line().await {}
}

async fn connect(broker: SocketAddr) -> anyhow::Result<Client> {
    Ok(ConnectOptions::new().connect(broker.to_string()).await?)
}

/// Returns when the broker knows of the subscription.
async fn subscribe(client: Client, subject: &'static str) -> anyhow::Result<Subscriber> {
    let subscriber = client.subscribe(subject).await?;
    client.flush().await?;
    // The broker answers in order, so it has read the subscription when it answers this.
    let inbox = client.new_inbox();
    let mut answer = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, Bytes::new()).await?;
    client.flush().await?;
    answer.next().await.context("the broker is gone")?;
    Ok(subscriber)
}

async fn receive(
    mut subscriber: Subscriber,
    size: usize,
    mut receiver: Receiver,
    enough: Enough,
    progress: Arc<Progress>,
) -> anyhow::Result<Flow> {
    let per_flush = BYTES_PER_FLUSH / size as u64;
    let mut received = 0_u64;
    while let Some(message) = subscriber.next().await {
        if receiver.take(&message.payload)? {
            return receiver.finish();
        }
        received += 1;
        if received.is_multiple_of(per_flush) {
            progress.received.store(received, Ordering::Release);
            progress.more.notify_one();
        }
        if receiver.flow().is_some() {
            enough.set();
        }
    }
    bail!("the subscription ended before the stream did")
}

async fn send_until(
    client: Client,
    size: usize,
    enough: Enough,
    progress: Arc<Progress>,
) -> anyhow::Result<()> {
    let per_flush = BYTES_PER_FLUSH / size as u64;
    let most_ahead = MOST_AHEAD.min(MOST_AHEAD_BYTES / size as u64);
    let mut source = Source::new(size);
    while !enough.is_set() {
        for _ in 0..per_flush {
            client.publish("flow", load::next(&mut source)).await?;
        }
        client.flush().await?;
        while source.sent() - progress.received.load(Ordering::Acquire) > most_ahead {
            progress.more.notified().await;
        }
    }
    client.publish("flow", Bytes::copy_from_slice(&source.end())).await?;
    client.flush().await?;
    Ok(())
}

async fn echo(client: Client, mut subscriber: Subscriber) -> anyhow::Result<()> {
    while let Some(message) = subscriber.next().await {
        let reply = message.reply.context("a request without a place for its reply")?;
        client.publish(reply, message.payload).await?;
    }
    Ok(())
}

async fn request(client: Client, message: Bytes) -> anyhow::Result<Bytes> {
    Ok(client.request("echo", message).await?.payload)
}

impl Contender for Nats {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        Box::pin(self.flow(size, window))
    }

    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>> {
        Box::pin(self.latency(window))
    }

    fn requests(&mut self, window: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>> {
        Some(Box::pin(self.replies(window)))
    }
}
