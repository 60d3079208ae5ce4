//! One scenario under way, and its report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::time::timeout;

use crate::bench::human;
use crate::bench::output::Output;
use crate::bench::report::{Params, Part, Reason, Unit};
use crate::bench::scheduler::{BENCH, Options, ScenarioName};

/// The longest that one measurement takes, with all its rounds: a million tasks take ten minutes.
const LIMIT: Duration = Duration::from_hours(1);

/// The same of a quick run, on a machine that is busy.
const QUICK_LIMIT: Duration = Duration::from_mins(3);

/// One scenario of one run.
pub struct Run<'a> {
    /// Which.
    pub name: ScenarioName,
    /// What was asked for.
    pub options: &'a Options,
    /// Where the figures go.
    pub output: &'a mut Output,
}

impl Run<'_> {
    /// Names the measurement that begins.
    pub fn begin(&self, params: &Params) {
        let params = params.iter().map(|(name, value)| format!(", {name} {}", human::param(value)));
        self.output.progress.begin(self.name.name().to_owned() + &params.collect::<String>());
    }

    /// What a measurement comes to, unless it does not end.
    ///
    /// # Errors
    /// If it fails, or does not end.
    pub async fn within<T>(
        &self,
        measurement: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let limit = if self.options.effort.quick { QUICK_LIMIT } else { LIMIT };
        timeout(limit, measurement).await.context("it does not end: something was lost")?
    }

    /// Reports what was measured, or that it failed.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub fn report(
        &mut self,
        params: Params,
        metric: (&'static str, Unit),
        measured: anyhow::Result<Measured>,
    ) -> anyhow::Result<()> {
        match measured {
            Ok(Measured { value, floor }) => {
                let figure = self.part().figure(params, metric, value).with_floor(floor);
                Ok(self.output.figure(figure)?)
            }
            Err(error) => self.gap(params, Reason::Failed(format!("{error:#}"))),
        }
    }

    /// Reports why something was not measured.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub fn gap(&mut self, params: Params, reason: Reason) -> anyhow::Result<()> {
        let gap = self.part().gap(params, reason);
        Ok(self.output.gap(gap)?)
    }

    /// Where files go.
    pub fn folder(&self) -> PathBuf {
        self.options.folder.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn part(&self) -> Part {
        Part { bench: BENCH, scenario: self.name.name() }
    }
}

/// A number, and what the least that does the same came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The number.
    pub value: Option<f64>,
    /// The floor, if there is one.
    pub floor: Option<f64>,
}
