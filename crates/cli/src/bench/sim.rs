//! The simulator bench: how many events one core simulates in a second, and what faults and
//! looking cost.
//!
//! An event is what a trace notes: a message or timer that an agent handles, a message that comes
//! from another node, a fault. One world runs on one thread, and the time that counts is
//! what that thread was on a core; a campaign runs as many worlds at once as there are cores.

mod charts;
mod cost;
mod crowd;
mod player;
mod rally;
mod run;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use self::run::Run;
use crate::bench::course::{self, Outcome};
use crate::bench::effort::Effort;
use crate::bench::header::Header;
use crate::bench::output::Output;

/// The name of this bench in reports.
pub const BENCH: &str = "sim";

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// Two agents play with one ball, on one node and on two.
    Rally,
    /// 1,000 agents on ten nodes: calm, with a broken network, with all faults.
    Crowd,
    /// What it costs to record, to keep the trace, to check an invariant after every event.
    Cost,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioName>,
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
        ])
    }
}

impl ScenarioName {
    /// What the table is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Rally => "rally: two agents play with one ball; one core",
            Self::Crowd => "crowd: 1,000 agents on ten nodes, a message for each; one core",
            Self::Cost => "cost: the crowd with network faults, beside the same without (floor)",
        }
    }

    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rally => "rally",
            Self::Crowd => "crowd",
            Self::Cost => "cost",
        }
    }

    /// How often it moves the progress bar on.
    fn steps(self) -> u64 {
        match self {
            Self::Rally => 2,
            Self::Crowd | Self::Cost => 3,
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
    output.progress.expect(options.scenarios.iter().map(|name| name.steps()).sum());
    for &name in &options.scenarios {
        output.begin_scenario(name.title());
        let mut run = Run { name, options, output };
        match name {
            ScenarioName::Rally => rally::run(&mut run).await?,
            ScenarioName::Crowd => crowd::run(&mut run).await?,
            ScenarioName::Cost => cost::run(&mut run).await?,
        }
        output.end_scenario()?;
    }
    Ok(())
}
