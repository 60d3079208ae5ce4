//! One scenario under way: rounds of a measurement, and their report.

use std::time::Duration;

use anyhow::Context;
use dx_sim::Sim;

use crate::bench::course::median;
use crate::bench::cpu;
use crate::bench::human;
use crate::bench::output::Output;
use crate::bench::report::{Params, Part, Reason, Unit};
use crate::bench::sim::{BENCH, Options, ScenarioName};

/// One scenario of one run.
pub struct Run<'a> {
    /// Which.
    pub name: ScenarioName,
    /// What was asked for.
    pub options: &'a Options,
    /// Where the figures go.
    pub output: &'a mut Output,
}

/// The figure of events per second.
pub const EVENTS: (&str, Unit) = ("events", Unit::PerSecond);

/// Events of one world, after which a new one is made: what a world keeps grows with them, and a
/// campaign's worlds are about that long.
pub const WORLD: u64 = 200_000;

/// Events between two looks at the clock, which is a system call.
const LOOK: u64 = 1000;

/// Something measured: a value per second, or one to be taken as it is.
pub type Measure = Box<dyn Fn(Duration) -> anyhow::Result<f64> + Send + Sync>;

impl Run<'_> {
    /// Measures in turn with `floor`, if there is one, and reports the medians.
    ///
    /// # Errors
    /// If the report cannot be written. If a measurement fails that is reported.
    pub async fn measure(
        &mut self,
        params: Params,
        metric: (&'static str, Unit),
        measure: Measure,
        floor: Option<Measure>,
    ) -> anyhow::Result<()> {
        self.begin(&params);
        let (rounds, time) = (self.options.effort.rounds(), self.options.time());
        // On a thread of its own, since it computes: so Ctrl-C is heard meanwhile.
        let measured = tokio::task::spawn_blocking(move || {
            let (mut values, mut floors) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                values.push(measure(time)?);
                if let Some(floor) = &floor {
                    floors.push(floor(time)?);
                }
            }
            anyhow::Ok((median(values), median(floors)))
        });
        let measured = measured.await.context("the measurement panicked").flatten();
        self.output.progress.advance();
        let entry = match measured {
            Ok((value, floor)) => {
                let figure = self.part().figure(params, metric, value);
                return Ok(self.output.figure(figure.with_floor(floor))?);
            }
            Err(error) => self.part().gap(params, Reason::Failed(format!("{error:#}"))),
        };
        Ok(self.output.gap(entry)?)
    }

    /// Names the measurement that begins.
    pub fn begin(&self, params: &Params) {
        let params = params.iter().map(|(name, value)| format!(", {name} {}", human::param(value)));
        self.output.progress.begin(self.name.name().to_owned() + &params.collect::<String>());
    }

    /// What figures of this scenario belong to.
    pub fn part(&self) -> Part {
        Part { bench: BENCH, scenario: self.name.name() }
    }
}

/// Events per second of the time that this thread was on a core, so that what else runs on the
/// machine takes no part in it; of worlds that `make` makes, one after the other. Making them is
/// not counted.
///
/// # Errors
/// If one cannot be made, something in it does not hold, or nothing happens in it any more.
pub fn events_per_second(
    time: Duration,
    make: impl Fn(u64) -> anyhow::Result<Sim>,
) -> anyhow::Result<f64> {
    let (mut events, mut took) = (0, Duration::ZERO);
    let mut seed = 1;
    while took < time {
        let mut sim = make(seed)?;
        seed += 1;
        let before = sim.trace().events();
        let began = cpu::thread_time();
        let elapsed = || cpu::thread_time().saturating_sub(began);
        while took + elapsed() < time && sim.trace().events() < before + WORLD {
            let until = sim.trace().events() + LOOK;
            while sim.trace().events() < until {
                anyhow::ensure!(sim.step_once()?, "nothing happens any more");
            }
        }
        took += elapsed();
        events += sim.trace().events() - before;
    }
    Ok(events as f64 / took.as_secs_f64())
}
