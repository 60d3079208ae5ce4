//! The course of a run, the same for every bench: until it is done, or told to stop.

use std::path::Path;

use crate::bench::header::Header;
use crate::bench::output::Output;
use crate::bench::plot::Chart;
use crate::bench::report::Entry;
use crate::command::signals::Presses;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for was measured, or said to be skipped.
    Complete,
    /// As complete, but something that was tried went wrong; the report says what.
    Failed,
    /// Ctrl-C, or what else asks to stop, came first. What was reported is valid.
    Interrupted,
}

/// Has `measure` report to where the figures go, and draws the charts that `charts` makes of them.
///
/// # Errors
/// If an output cannot be written, or `measure` fails as a whole.
pub async fn run(
    header: &Header,
    json: Option<&Path>,
    plot: Option<&Path>,
    charts: fn(&[Entry]) -> Vec<Chart>,
    measure: impl AsyncFnOnce(&mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let mut output = Output::open(header, json, plot)?;
    let mut stop = Presses::listen();
    let mut outcome = tokio::select! {
        done = measure(&mut output) => done.map(|()| Outcome::Complete)?,
        () = stop.next() => Outcome::Interrupted,
    };
    output.end_scenario()?;
    if outcome == Outcome::Interrupted {
        output.progress.note("interrupted: what is printed is valid, the rest was not measured");
    }
    if output.has_failures() && outcome == Outcome::Complete {
        output.progress.note("something went wrong: see `failed` above");
        outcome = Outcome::Failed;
    }
    output.finish(&format!("dx bench {}", header.bench), &header.summary(), charts)?;
    Ok(outcome)
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
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
