//! The agents bench: what agents cost, told, asked, started and made durable, in one process and
//! from node to node.
//!
//! Every scenario does a known number of operations, and checks each: that it arrived, once and
//! in order. A number of operations that fills the time is found first, which warms up as well.
//! What is told keeps within what its receiver has granted, so no message is ever refused.

pub mod amount;
pub mod arena;
pub mod ask;
mod charts;
pub mod fan_in;
mod floor;
pub(in crate::bench) mod journal;
mod nodes;
pub mod offload;
mod remote_ask;
mod remote_tell;
mod run;
pub mod spawn;
pub mod stream;
pub mod tell;
pub mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use self::run::Run;
use crate::bench::course::{self, Outcome};
use crate::bench::effort::Effort;
use crate::bench::header::Header;
use crate::bench::output::Output;
use crate::bench::transport::TransportName;

/// The name of this bench in reports.
pub const BENCH: &str = "agents";

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// One agent tells another 64 B messages: on one thread, and from thread to thread.
    Tell,
    /// Eight agents tell one, on a thread of its own.
    FanIn,
    /// A token goes around 1,000 agents of one thread.
    Token,
    /// One question of 64 B at a time: on one thread, and from thread to thread.
    Ask,
    /// Starting agents, and the memory that they take while they wait.
    Spawn,
    /// Jobs of 50 us of computation, handed to one thread and to two.
    Offload,
    /// Records of 256 B that are durable before they are confirmed.
    Journal,
    /// One agent tells one of another node, over each transport.
    RemoteTell,
    /// Questions to an agent of another node, one at a time and many.
    RemoteAsk,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioName>,
    /// The transports of the remote scenarios, in order.
    pub transports: Vec<TransportName>,
    /// Where the journal scenario puts its files, if not where temporary files go.
    pub folder: Option<PathBuf>,
    /// Whether to measure floors in turn with dx.
    pub floor: bool,
    /// Agents of the spawn scenario, if not the default.
    pub agents: Option<u32>,
    /// Measure in this process what otherwise has one of its own.
    pub in_process: bool,
    /// How often and how long.
    pub effort: Effort,
}

/// Time per measurement of a quick run.
const QUICK_DURATION: Duration = Duration::from_millis(100);

impl Options {
    /// How long each measurement takes, about.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.effort.time(QUICK_DURATION)
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
            Self::Tell => "tell: 64 B from one agent to another, counted and checked",
            Self::FanIn => "fan-in: eight agents tell one on a thread of its own",
            Self::Token => "token: 64 B around 1,000 agents of one thread",
            Self::Ask => "ask: 64 B there and back, the next when the one before is answered",
            Self::Spawn => "spawn: agents started, and then idle",
            Self::Offload => "offload: 50 us of computation each, handed to other threads",
            Self::Journal => "journal: records of 256 B, confirmed when they are durable",
            Self::RemoteTell => "remote-tell: two u64 and 48 B to an agent of another node",
            Self::RemoteAsk => "remote-ask: 64 B to an agent of another node and back",
        }
    }

    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::FanIn => "fan-in",
            Self::Token => "token",
            Self::Ask => "ask",
            Self::Spawn => "spawn",
            Self::Offload => "offload",
            Self::Journal => "journal",
            Self::RemoteTell => "remote-tell",
            Self::RemoteAsk => "remote-ask",
        }
    }

    /// How often it moves the progress bar on.
    fn steps(self, options: &Options) -> usize {
        match self {
            Self::Tell | Self::Ask | Self::Offload | Self::Journal => 2,
            Self::FanIn | Self::Token | Self::Spawn => 1,
            Self::RemoteTell => options.transports.len(),
            Self::RemoteAsk => options.transports.len() * remote_ask::ROWS.len(),
        }
    }
}

/// Measures what `options` ask for.
///
/// # Errors
/// If an output cannot be written. A scenario that fails is reported as failed, and the others go
/// on.
pub async fn run(
    options: &Options,
    json: Option<&Path>,
    plot: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let header = Header::new(BENCH, options.describe());
    let measure = async |output: &mut Output| run_all(options, output).await;
    course::run(&header, json, plot, charts::of, measure).await
}

async fn run_all(options: &Options, output: &mut Output) -> anyhow::Result<()> {
    let steps: usize = options.scenarios.iter().map(|name| name.steps(options)).sum();
    output.progress.expect(steps as u64);
    for &name in &options.scenarios {
        output.begin_scenario(name.title());
        let mut run = Run { name, options, output };
        match name {
            ScenarioName::Tell => tell::run(&mut run).await?,
            ScenarioName::FanIn => fan_in::run(&mut run).await?,
            ScenarioName::Token => token::run(&mut run).await?,
            ScenarioName::Ask => ask::run(&mut run).await?,
            ScenarioName::Spawn => spawn::run(&mut run).await?,
            ScenarioName::Offload => offload::run(&mut run).await?,
            ScenarioName::Journal => journal::run(&mut run).await?,
            ScenarioName::RemoteTell => remote_tell::run(&mut run).await?,
            ScenarioName::RemoteAsk => remote_ask::run(&mut run).await?,
        }
        output.end_scenario()?;
    }
    Ok(())
}
