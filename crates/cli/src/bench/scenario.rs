//! The parts of the transport bench, one file each.

mod all_to_all;
mod control;
mod resume;
mod round_trip;
mod shaped;
mod slow_consumer;
mod throughput;

use crate::bench::output::Output;
use crate::bench::report::{Figure, Gap, Params, Reason, Unit};
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
        (metric, unit): (&'static str, Unit),
        value: Option<f64>,
        floor: Option<f64>,
    ) -> anyhow::Result<()> {
        let (scenario, params) = (self.name.name(), params.clone());
        let figure = Figure {
            bench: BENCH,
            scenario,
            params,
            metric,
            unit,
            value,
            floor: None,
            ratio: None,
        };
        Ok(self.output.figure(figure.with_floor(floor))?)
    }

    /// Reports that something went wrong, and goes on.
    fn failed(&mut self, params: Params, error: &anyhow::Error) -> anyhow::Result<()> {
        self.gap(params, Reason::Failed(format!("{error:#}")))
    }

    fn gap(&mut self, params: Params, reason: Reason) -> anyhow::Result<()> {
        let scenario = self.name.name();
        Ok(self.output.gap(Gap { bench: BENCH, scenario, params, reason })?)
    }
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
