//! One scenario under way: rounds of dx and its floor in turn, and their report.

use std::sync::Arc;
use std::time::Duration;

use crate::bench::agents::amount;
use crate::bench::agents::floor::Floor;
use crate::bench::agents::{BENCH, Options, ScenarioName};
use crate::bench::course::median;
use crate::bench::human;
use crate::bench::output::Output;
use crate::bench::report::{Params, Part, Reason, Unit};

/// One scenario of one run.
pub struct Run<'a> {
    /// Which.
    pub name: ScenarioName,
    /// What was asked for.
    pub options: &'a Options,
    /// Where the figures go.
    pub output: &'a mut Output,
}

/// What is measured by doing it often.
pub struct Operation {
    /// What distinguishes it from the others of its scenario.
    pub params: Params,
    /// What is reported of it: a number per second, or if the unit is one of time, what one takes.
    pub metric: (&'static str, Unit),
}

/// The median of dx's values, and that of the floor's.
pub type Medians = [Option<f64>; 2];

impl Operation {
    /// Measures it once: as often as fills the time, which is found the first time.
    ///
    /// # Errors
    /// If `measure` fails or does not end.
    pub async fn once(
        &self,
        time: Duration,
        count: &mut Option<u64>,
        mut measure: impl AsyncFnMut(u64) -> anyhow::Result<Duration>,
    ) -> anyhow::Result<f64> {
        let count = match *count {
            Some(count) => count,
            None => *count.insert(amount::filling(time, &mut measure).await?),
        };
        let took = amount::within(amount::limit(time), measure(count)).await?;
        Ok(self.value(count, took))
    }

    fn value(&self, count: u64, took: Duration) -> f64 {
        let each = took.as_secs_f64() / count as f64;
        if self.metric.1 == Unit::Microseconds { each * 1e6 } else { 1.0 / each }
    }
}

impl Run<'_> {
    /// Measures an operation, in turn with its floor if floors were asked for, and reports it.
    /// Returns the medians of both.
    ///
    /// # Errors
    /// If the report cannot be written. If `measure` fails that is reported.
    pub async fn measure(
        &mut self,
        operation: &Operation,
        mut measure: impl AsyncFnMut(u64) -> anyhow::Result<Duration>,
        floor: Option<Floor>,
    ) -> anyhow::Result<Option<Medians>> {
        let time = self.options.time();
        let (mut count, mut floor_count) = (None, None);
        let value = async || operation.once(time, &mut count, &mut measure).await.map(Some);
        let floor = floor.map(|floor| {
            async move || {
                let run = async |count| aside(&floor, count).await;
                operation.once(time, &mut floor_count, run).await.map(Some)
            }
        });
        self.in_turn(operation, value, floor).await
    }

    /// The same for whatever gives a value; `None` is too few samples for one.
    ///
    /// # Errors
    /// If the report cannot be written. If `value` or `floor` fails that is reported.
    pub async fn in_turn(
        &mut self,
        operation: &Operation,
        value: impl AsyncFnMut() -> anyhow::Result<Option<f64>>,
        floor: Option<impl AsyncFnMut() -> anyhow::Result<Option<f64>>>,
    ) -> anyhow::Result<Option<Medians>> {
        self.begin(&operation.params);
        let floor = floor.filter(|_| self.options.floor);
        let medians = self.rounds(value, floor).await;
        self.output.progress.advance();
        match medians {
            Ok(medians) => {
                self.report(&operation.params, operation.metric, medians)?;
                Ok(Some(medians))
            }
            Err(error) => {
                self.failed(operation.params.clone(), &error)?;
                Ok(None)
            }
        }
    }

    async fn rounds(
        &self,
        mut value: impl AsyncFnMut() -> anyhow::Result<Option<f64>>,
        mut floor: Option<impl AsyncFnMut() -> anyhow::Result<Option<f64>>>,
    ) -> anyhow::Result<Medians> {
        let (mut values, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..self.options.effort.rounds() {
            values.extend(value().await?);
            if let Some(floor) = &mut floor {
                floors.extend(floor().await?);
            }
        }
        Ok([median(values), median(floors)])
    }

    /// Names the measurement that begins.
    pub fn begin(&self, params: &Params) {
        let params = params.iter().map(|(name, value)| format!(", {name} {}", human::param(value)));
        self.output.progress.begin(self.name.name().to_owned() + &params.collect::<String>());
    }

    /// Reports a value, and the floor's beside it.
    pub fn report(
        &mut self,
        params: &Params,
        metric: (&'static str, Unit),
        [value, floor]: Medians,
    ) -> anyhow::Result<()> {
        let figure = self.part().figure(params.clone(), metric, value);
        Ok(self.output.figure(figure.with_floor(floor))?)
    }

    /// Reports that something went wrong, and goes on.
    pub fn failed(&mut self, params: Params, error: &anyhow::Error) -> anyhow::Result<()> {
        let reason = Reason::Failed(format!("{error:#}"));
        Ok(self.output.gap(self.part().gap(params, reason))?)
    }

    fn part(&self) -> Part {
        Part { bench: BENCH, scenario: self.name.name() }
    }
}

/// Runs a floor on a thread of its own: it blocks.
async fn aside(floor: &Floor, count: u64) -> anyhow::Result<Duration> {
    let floor = Arc::clone(floor);
    tokio::task::spawn_blocking(move || floor(count)).await?
}
