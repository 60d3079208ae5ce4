//! The parts of the transport bench, one file each.

mod all_to_all;
mod control;
mod resume;
mod round_trip;
mod shaped;
mod slow_consumer;
mod throughput;

use crate::bench::output::Output;
use crate::bench::report::{Params, Part, Reason, Unit};
use crate::bench::transport::{BENCH, Options, ScenarioName};

/// Runs the scenarios that `options` name, and reports each to `output`.
///
/// # Errors
/// If `output` cannot be written.
pub async fn run_all(options: &Options, output: &mut Output) -> anyhow::Result<()> {
    let steps: usize = options.scenarios.iter().map(|name| steps(*name)).sum();
    output.progress.expect((steps * options.transports.len()) as u64);
    for &name in &options.scenarios {
        output.begin_scenario(name.title());
        let mut run = Run { name, options, output };
        match name {
            ScenarioName::Throughput => throughput::run(&mut run).await?,
            ScenarioName::RoundTrip => round_trip::run(&mut run).await?,
            ScenarioName::Control => control::run(&mut run).await?,
            ScenarioName::AllToAll => all_to_all::run(&mut run).await?,
            ScenarioName::Resume => resume::run(&mut run).await?,
            ScenarioName::SlowConsumer => slow_consumer::run(&mut run).await?,
            ScenarioName::Shaped => shaped::run(&mut run).await?,
        }
        output.end_scenario()?;
    }
    Ok(())
}

/// How often a scenario moves the progress bar on, per transport.
fn steps(name: ScenarioName) -> usize {
    match name {
        ScenarioName::Throughput => throughput::SIZES.len(),
        ScenarioName::RoundTrip => round_trip::LOADS.len(),
        _ => 1,
    }
}

/// One scenario of one run.
pub struct Run<'a> {
    /// Which.
    name: ScenarioName,
    /// What was asked for.
    options: &'a Options,
    /// Where the figures go.
    output: &'a mut Output,
}

impl Run<'_> {
    /// Reports `value`, and the floor's beside it.
    fn report(
        &mut self,
        params: &Params,
        metric: (&'static str, Unit),
        value: Option<f64>,
        floor: Option<f64>,
    ) -> anyhow::Result<()> {
        let figure = self.part().figure(params.clone(), metric, value);
        Ok(self.output.figure(figure.with_floor(floor))?)
    }

    /// Reports that something went wrong, and goes on.
    fn failed(&mut self, params: Params, error: &anyhow::Error) -> anyhow::Result<()> {
        self.gap(params, Reason::Failed(format!("{error:#}")))
    }

    fn gap(&mut self, params: Params, reason: Reason) -> anyhow::Result<()> {
        Ok(self.output.gap(self.part().gap(params, reason))?)
    }

    fn part(&self) -> Part {
        Part { bench: BENCH, scenario: self.name.name() }
    }
}
