//! The process of one end. It reports on standard output, and is told on standard input to stop.
//!
//! Like zenoh's own `z_pub_thr` and `z_ping`, it uses the blocking API from the main thread.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use dx::bench::latency::Distribution;
use dx::bench::payload::{Checker, Source};
use dx::bench::subject::{Flow, PING_BYTES, Window};
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::sample::Sample;
use zenoh::{Config, Session, Wait};

use crate::load::{self, Enough, Receiver};

/// The file with the certificate.
pub const CERTIFICATE: &str = "certificate.pem";
/// The file with its key.
pub const KEY: &str = "key.pem";

/// What the lines on standard output begin with: it listens,
pub const READY: &str = "ready";
/// so many messages arrived,
pub const MESSAGES: &str = "messages ";
/// in so many microseconds,
pub const MICROSECONDS: &str = "microseconds ";
/// the median of the latencies in nanoseconds,
pub const MEDIAN: &str = "median ";
/// all that was sent has arrived.
pub const DONE: &str = "done";

const FLOW: &str = "bench/flow";
const PING: &str = "bench/ping";
const PONG: &str = "bench/pong";

/// What an end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Listens, and counts what arrives.
    Receive,
    /// Connects, and sends one way.
    Send,
    /// Listens, and sends everything back.
    Echo,
    /// Connects, and measures how long that takes.
    Ping,
}

impl Role {
    /// The name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Echo => "echo",
            Self::Ping => "ping",
        }
    }
}

/// The command line of the process.
#[derive(Debug, Args)]
pub struct Arguments {
    role: Role,
    endpoint: String,
    certificates: PathBuf,
    size: usize,
    warmup_us: u64,
    measure_us: u64,
}

impl Arguments {
    fn window(&self) -> Window {
        Window {
            warmup: Duration::from_micros(self.warmup_us),
            measure: Duration::from_micros(self.measure_us),
        }
    }
}

/// Runs the process.
///
/// # Errors
/// If zenoh fails, or a message did not arrive as it was sent.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let listens = matches!(arguments.role, Role::Receive | Role::Echo);
    let config = config(listens, &arguments.endpoint, &arguments.certificates)?;
    let session = zenoh::open(config).wait().map_err(boxed)?;
    match arguments.role {
        Role::Receive => receive(&session, arguments.size, arguments.window()),
        Role::Send => send(&session, arguments.size),
        Role::Echo => echo(&session),
        Role::Ping => ping(&session, arguments.window()),
    }
}

fn boxed(error: zenoh::Error) -> anyhow::Error {
    anyhow!(error)
}

/// A peer with one explicit endpoint, which looks for nobody else.
fn config(listens: bool, endpoint: &str, certificates: &Path) -> anyhow::Result<Config> {
    let mut config = Config::default();
    let file = |name: &str| format!("{:?}", certificates.join(name).display().to_string());
    let endpoints = format!("[{endpoint:?}]");
    let (listen, connect) =
        if listens { (endpoints.as_str(), "[]") } else { ("[]", endpoints.as_str()) };
    for (key, value) in [
        ("mode", "\"peer\""),
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
        ("listen/endpoints", listen),
        ("connect/endpoints", connect),
        ("transport/link/tls/listen_certificate", &file(CERTIFICATE)),
        ("transport/link/tls/listen_private_key", &file(KEY)),
        ("transport/link/tls/root_ca_certificate", &file(CERTIFICATE)),
    ] {
        let inserted = config.insert_json5(key, value).map_err(boxed);
        inserted.with_context(|| format!("failed to set {key}"))?;
    }
    Ok(config)
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// What the process that started this one has said.
struct Input {
    /// It has written a line: the window is over.
    enough: Enough,
    /// It hangs up when standard input ends: nobody needs this process any more.
    ended: mpsc::Receiver<()>,
}

impl Input {
    fn read() -> Self {
        let (ending, ended) = mpsc::channel::<()>();
        let enough = Enough::default();
        let said = enough.clone();
        std::thread::spawn(move || {
            // Whether it is a line, the end, or an error: that is enough.
            let _ = io::stdin().read_line(&mut String::new());
            said.set();
            let _ = io::stdin().read_line(&mut String::new());
            drop(ending);
        });
        Self { enough, ended }
    }
}

/// Returns when the subscriber at the other end is known.
fn wait_for_subscriber(publisher: &Publisher<'_>) -> anyhow::Result<()> {
    let changes = publisher.matching_listener().wait().map_err(boxed)?;
    while !publisher.matching_status().wait().map_err(boxed)?.matching() {
        changes.recv().map_err(boxed)?;
    }
    Ok(())
}

/// What the subscriber's callback tells the main thread.
enum Arrival {
    Flow(Flow),
    End,
    Failed(anyhow::Error),
}

fn receive(session: &Session, size: usize, window: Window) -> anyhow::Result<()> {
    let (arrivals, arrived) = mpsc::channel();
    let mut counting = Counting { receiver: None, reported: false, size, window, arrivals };
    let subscriber = session.declare_subscriber(FLOW).callback_mut(move |sample| {
        counting.take(&sample);
    });
    let _subscriber = subscriber.wait().map_err(boxed)?;
    say(READY)?;
    loop {
        match arrived.recv()? {
            Arrival::Flow(flow) => {
                say(&format!("{MESSAGES}{}", flow.messages))?;
                say(&format!("{MICROSECONDS}{}", flow.elapsed.as_micros()))?;
            }
            Arrival::End => return say(DONE),
            Arrival::Failed(error) => return Err(error),
        }
    }
}

/// The state of the subscriber's callback.
struct Counting {
    /// From the first message on: that is when the window begins.
    receiver: Option<Receiver>,
    reported: bool,
    size: usize,
    window: Window,
    arrivals: mpsc::Sender<Arrival>,
}

impl Counting {
    fn take(&mut self, sample: &Sample) {
        let receiver = self.receiver.get_or_insert_with(|| Receiver::new(self.size, self.window));
        let arrival = match receiver.take(&sample.payload().to_bytes()) {
            Ok(true) => Some(Arrival::End),
            Ok(false) if self.reported => None,
            Ok(false) => receiver.flow().map(Arrival::Flow),
            Err(error) => Some(Arrival::Failed(error)),
        };
        if let Some(arrival) = arrival {
            self.reported = true;
            // If the main thread is gone, so is the process.
            let _ = self.arrivals.send(arrival);
        }
    }
}

fn send(session: &Session, size: usize) -> anyhow::Result<()> {
    let publisher = session.declare_publisher(FLOW).congestion_control(CongestionControl::Block);
    let publisher = publisher.wait().map_err(boxed)?;
    wait_for_subscriber(&publisher)?;
    let input = Input::read();
    let mut source = Source::new(size);
    while !input.enough.is_set() {
        publisher.put(load::next(&mut source)).wait().map_err(boxed)?;
    }
    publisher.put(source.end()).wait().map_err(boxed)?;
    say(DONE)?;
    // What is still on its way would be lost with the session. An error means that it is time.
    input.ended.recv().or(Ok(()))
}

/// A publisher that does not wait for a batch to fill.
fn express(session: &Session, key: &'static str) -> anyhow::Result<Publisher<'static>> {
    let publisher = session.declare_publisher(key).congestion_control(CongestionControl::Block);
    publisher.express(true).wait().map_err(boxed)
}

fn echo(session: &Session) -> anyhow::Result<()> {
    let (failures, failed) = mpsc::channel();
    let publisher = express(session, PONG)?;
    let subscriber = session.declare_subscriber(PING).callback(move |sample| {
        if let Err(error) = publisher.put(sample.payload().clone()).wait() {
            // If the main thread is gone, so is the process.
            let _ = failures.send(boxed(error));
        }
    });
    let _subscriber = subscriber.wait().map_err(boxed)?;
    say(READY)?;
    // Until it is killed.
    Err(failed.recv()?)
}

fn ping(session: &Session, window: Window) -> anyhow::Result<()> {
    let (replies, replied) = mpsc::sync_channel::<Vec<u8>>(1);
    let subscriber = session.declare_subscriber(PONG).callback(move |sample| {
        // If the main thread is gone, so is the process.
        let _ = replies.send(sample.payload().to_bytes().into_owned());
    });
    let _subscriber = subscriber.wait().map_err(boxed)?;
    let publisher = express(session, PING)?;
    wait_for_subscriber(&publisher)?;
    let (mut source, mut checker) = (Source::new(PING_BYTES), Checker::new(PING_BYTES));
    let mut latencies = Distribution::new();
    let begin = Instant::now();
    loop {
        let sent = Instant::now();
        publisher.put(load::next(&mut source)).wait().map_err(boxed)?;
        checker.check(&replied.recv()?)?;
        let now = Instant::now();
        if now - begin >= window.warmup {
            latencies.record_duration(now - sent);
        }
        if now - begin >= window.whole() {
            break;
        }
    }
    let median = latencies.percentile(0.5).context("too few round trips for a median")?;
    say(&format!("{MEDIAN}{median:.0}"))
}
