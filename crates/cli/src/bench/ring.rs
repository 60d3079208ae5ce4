//! The ring bench: total-order broadcast, by how much of the links it makes use of and how long
//! it takes.
//!
//! Throughput is counted at the member that is least far: what all have delivered, in one order,
//! checked message by message. The nodes are of one process, each with threads of its own; only in
//! the view-change scenario they are processes, since one of them is killed.

mod charts;
mod circle;
mod gap;
mod latency;
mod ledger;
mod load;
mod shaped;
mod throughput;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

pub use self::circle::{Circle, Kit};
pub use self::ledger::{Counted, Ledger};
pub use self::load::{HEAD, Load};
pub use self::throughput::{Done, count, measure};

use crate::bench::course::{self, Outcome};
use crate::bench::effort::Effort;
use crate::bench::header::Header;
use crate::bench::human;
use crate::bench::laboratory::Laboratory;
use crate::bench::output::Output;
use crate::bench::report::{Params, Part, Reason, Unit};
use crate::bench::transport::TransportName;
use crate::kinds::ring_member::Model;

/// The name of this bench in reports.
pub const BENCH: &str = "ring";

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// As many messages as the ring takes, from 64 B to 1 MiB, of one sender and of all.
    Throughput,
    /// From sending to the sender's own delivery and to the last one, of a ring with little to do.
    Latency,
    /// The longest time without a delivery, when the member that numbers is killed.
    ViewChange,
    /// Throughput on hosts with links of 100 Mbit/s. Needs the laboratory of the dx-lab example.
    Shaped,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioName>,
    /// The models, in order.
    pub models: Vec<Model>,
    /// The transports, in order.
    pub transports: Vec<TransportName>,
    /// Numbers of members, in order.
    pub members: Vec<u16>,
    /// Sizes of messages, in order.
    pub sizes: Vec<usize>,
    /// How long; a quick run also measures less.
    pub effort: Effort,
    /// What makes hosts.
    pub laboratory: Option<Laboratory>,
}

/// Time per measurement of a quick run.
const QUICK_DURATION: Duration = Duration::from_millis(200);

impl Options {
    /// How long each measurement takes.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.effort.time(QUICK_DURATION)
    }

    fn describe(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("duration", self.effort.describe())])
    }
}

impl ScenarioName {
    /// What the table is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Throughput => "throughput: delivered by all members, in one order",
            Self::Latency => {
                "latency: 64 B of each member every 10 ms, to its own delivery and to the last"
            }
            Self::ViewChange => "view-change: no delivery, when the member that numbers is killed",
            Self::Shaped => {
                "shaped: hosts with links of 100 Mbit/s, efficiency of what they can carry"
            }
        }
    }

    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::ViewChange => "view-change",
            Self::Shaped => "shaped",
        }
    }
}

/// One scenario of one run.
struct Run<'a> {
    name: ScenarioName,
    options: &'a Options,
    output: &'a mut Output,
}

impl Run<'_> {
    fn begin(&self, params: &Params) {
        let params = params.iter().map(|(name, value)| format!(", {name} {}", human::param(value)));
        self.output.progress.begin(self.name.name().to_owned() + &params.collect::<String>());
    }

    fn report(
        &mut self,
        params: &Params,
        metric: (&'static str, Unit),
        value: Option<f64>,
    ) -> anyhow::Result<()> {
        let part = Part { bench: BENCH, scenario: self.name.name() };
        Ok(self.output.figure(part.figure(params.clone(), metric, value))?)
    }

    fn gap(&mut self, params: Params, reason: Reason) -> anyhow::Result<()> {
        let part = Part { bench: BENCH, scenario: self.name.name() };
        Ok(self.output.gap(part.gap(params, reason))?)
    }

    fn failed(&mut self, params: Params, error: &anyhow::Error) -> anyhow::Result<()> {
        self.gap(params, Reason::Failed(format!("{error:#}")))
    }

    /// What a row is of.
    fn params(model: Model, transport: TransportName, members: u16) -> Params {
        Params::new()
            .with("model", model.name().into())
            .with("transport", transport.name().into())
            .with("members", crate::bench::report::Param::Count(members.into()))
    }

    /// Every model over every transport with every number of members.
    fn rings(&self) -> Vec<(Model, TransportName, u16)> {
        let Options { models, transports, members, .. } = self.options;
        let over = |model| transports.iter().map(move |transport| (model, *transport));
        let of = |(model, transport)| members.iter().map(move |count| (model, transport, *count));
        models.iter().copied().flat_map(over).flat_map(of).collect()
    }
}

/// Measures what `options` ask for.
///
/// # Errors
/// If an output cannot be written. What fails is reported as failed, and the others go on.
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
    let rings = options.models.len() * options.transports.len() * options.members.len();
    let steps = options.scenarios.iter().map(|name| match name {
        ScenarioName::Throughput | ScenarioName::Shaped => rings * options.sizes.len() * 2,
        ScenarioName::Latency | ScenarioName::ViewChange => rings,
    });
    output.progress.expect(steps.sum::<usize>() as u64);
    for &name in &options.scenarios {
        output.begin_scenario(name.title());
        let mut run = Run { name, options, output };
        match name {
            ScenarioName::Throughput => throughput::run(&mut run).await?,
            ScenarioName::Latency => latency::run(&mut run).await?,
            ScenarioName::ViewChange => gap::run(&mut run).await?,
            ScenarioName::Shaped => shaped::run(&mut run).await?,
        }
        output.end_scenario()?;
    }
    Ok(())
}
