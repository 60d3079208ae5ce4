//! The transport bench: what the mesh does over each of its transports.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use crate::bench::course::{self, Outcome};
use crate::bench::effort::Effort;
use crate::bench::header::Header;
use crate::bench::laboratory::Laboratory;
use crate::bench::output::Output;
use crate::bench::scenario;
use crate::bench::subject::Window;

/// The name of this bench in reports.
pub const BENCH: &str = "transport";

/// A transport of dx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportName {
    /// Plain TCP; both ends prove the cluster secret.
    Tcp,
    /// TLS 1.3 over TCP.
    Tls,
    /// QUIC.
    Quic,
    /// Within the process, without a network.
    Memory,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// One-way messages/s and MB/s by message size, and their CPU time.
    Throughput,
    /// Round trips of 64 B, one at a time and at fixed rates.
    RoundTrip,
    /// Latency of the control lane while 16 MiB messages saturate the bulk lane.
    Control,
    /// All nodes talk to all: start, traffic, and the cost of idling.
    AllToAll,
    /// Links are reset under load: what is lost, and how long it takes to resume.
    Resume,
    /// One of eight readers stalls: what the others notice, and how much memory it takes.
    SlowConsumer,
    /// 50 ms round trip and 1 % loss.
    Shaped,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The transports, in order.
    pub transports: Vec<TransportName>,
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioName>,
    /// Whether to measure floors in turn with dx.
    pub floor: bool,
    /// Nodes of the all-to-all scenario, if not the default.
    pub nodes: Option<u32>,
    /// Measure in this process what otherwise has one of its own.
    pub in_process: bool,
    /// How often and how long.
    pub effort: Effort,
    /// What makes networks with delay and loss, if anything does.
    pub laboratory: Option<Laboratory>,
}

/// The part of a quick window that warms up.
const QUICK_WARMUP: f64 = 0.2;

/// The warm-up of all other windows. TCP's and QUIC's windows have opened by then on a LAN.
const WARMUP: Duration = Duration::from_millis(200);

impl Options {
    /// The window of each of `measurements` that `scenario` makes.
    #[must_use]
    pub fn window(&self, scenario: ScenarioName, measurements: usize) -> Window {
        if self.effort.quick {
            let measurements = u32::try_from(measurements.max(1)).unwrap_or(u32::MAX);
            let whole = scenario.quick_share() / measurements;
            let measure = whole.mul_f64(1.0 - QUICK_WARMUP);
            return Window { warmup: whole.saturating_sub(measure), measure };
        }
        let measure = self.effort.time(Duration::ZERO);
        Window { warmup: WARMUP.min(measure), measure }
    }

    fn describe(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("duration", self.effort.describe()),
            ("rounds", self.effort.rounds().to_string()),
            ("floor", self.floor.to_string()),
        ])
    }
}

impl ScenarioName {
    /// What the table is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Throughput => "throughput: one way, counted and checked at the receiver",
            Self::RoundTrip => "round-trip: 64 B there and back; at fixed rates from the due time",
            Self::Control => {
                "control: one-way latency of 64 B at 1 kHz, alone and beside 16 MiB messages"
            }
            Self::AllToAll => "all-to-all: every node with every other, in one process",
            Self::Resume => "resume: links reset under load",
            Self::SlowConsumer => "slow-consumer: one of eight readers stalls",
            Self::Shaped => "shaped: 50 ms round trip, 1 % loss",
        }
    }

    /// Its share of the time that `--quick` has for everything; set-up comes on top.
    fn quick_share(self) -> Duration {
        Duration::from_millis(match self {
            Self::Throughput => 3_200,
            Self::Control | Self::AllToAll | Self::Shaped => 1_200,
            Self::RoundTrip | Self::Resume => 1_800,
            Self::SlowConsumer => 1_400,
        })
    }

    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::RoundTrip => "round-trip",
            Self::Control => "control",
            Self::AllToAll => "all-to-all",
            Self::Resume => "resume",
            Self::SlowConsumer => "slow-consumer",
            Self::Shaped => "shaped",
        }
    }
}

impl TransportName {
    /// The name as on the command line and in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for TransportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Measures what `options` ask for.
///
/// # Errors
/// If an output cannot be written, or this machine does not even let the benches start. A
/// scenario that fails over one transport is reported as failed, and the others go on.
pub async fn run(
    options: &Options,
    json: Option<&Path>,
    plot: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let header = Header::new(BENCH, options.describe());
    let measure = async |output: &mut Output| scenario::run_all(options, output).await;
    course::run(&header, json, plot, charts::of, measure).await
}

mod charts;
