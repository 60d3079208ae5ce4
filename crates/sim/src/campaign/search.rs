//! Systematic search on real worlds: every order of what is due, within bounds.

use std::fmt;
use std::time::Duration;

use super::Scenario;
use crate::choices::Choices;
use crate::explore::{Bounds, Completeness, NotRepeatable, Outcome, Switches, explore_worlds};
use crate::failure::{Failure, OUT_OF_EVENTS};
use crate::sim::Sim;

/// How far a search goes.
///
/// Delays are the shortest, and what is due within the window may come in any order, but for what
/// keeps an order of its own. A [plan of faults](crate::FaultPlan) has [few slots](crate::plan::FEW_SLOTS),
/// and a scenario for a search is best a small one: three nodes, two operations, one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Systematic {
    /// Runs, faults and how often something passes something else by.
    pub bounds: Bounds,
    /// How long something may be made to wait for what is due later.
    pub window: Duration,
    /// Events that one run may take.
    pub events: u64,
}

impl Default for Systematic {
    /// Two delays and one fault in ten thousand runs, and waits of a millisecond.
    fn default() -> Self {
        let bounds =
            Bounds { switches: Switches::Delays(2), events: 1, runs: 10_000, ..Bounds::default() };
        Self { bounds, window: Duration::from_millis(1), events: 100_000 }
    }
}

/// What a search did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// Runs.
    pub runs: u64,
    /// Events in all of them.
    pub events: u64,
    /// The most choices of one run.
    pub deepest: usize,
    /// Runs that were cut at their bound of events: nobody knows how they end.
    pub cut: u64,
    /// Which runs there are beside these.
    pub completeness: Completeness,
    /// The first failure, at which it stopped, with its tape.
    pub failure: Option<Failure>,
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Tries all orders within the bounds, those with fewer delays first, up to the first that
    /// fails. The seed only draws the agents' own random numbers. `progress` is told the number of
    /// runs after each.
    ///
    /// # Errors
    /// If a run is another when it is repeated.
    pub fn search(
        &self,
        seed: u64,
        how: &Systematic,
        mut progress: impl FnMut(u64),
    ) -> Result<Searched, NotRepeatable> {
        let mut searched = Searched {
            runs: 0,
            events: 0,
            deepest: 0,
            cut: 0,
            completeness: Completeness::OutOfRuns,
            failure: None,
        };
        for switches in levels(how.bounds.switches) {
            let runs = how.bounds.runs - searched.runs;
            if runs == 0 {
                // Some level was not begun.
                searched.completeness = Completeness::OutOfRuns;
                break;
            }
            let bounds = Bounds { switches, runs, ..how.bounds };
            let before = searched.runs;
            let found = explore_worlds(&bounds, Some(how.window), |choices| {
                let (sim, failure) = self.run_within(seed, choices, how.events);
                searched.runs += 1;
                searched.events += sim.trace().events();
                progress(searched.runs);
                let is_cut = failure.as_ref().is_some_and(|it| it.what == OUT_OF_EVENTS);
                searched.cut += u64::from(is_cut);
                searched.failure = failure.filter(|_| !is_cut);
                let outcome = match &searched.failure {
                    Some(failure) => Outcome::Violated(failure.what.clone()),
                    None => Outcome::Fine,
                };
                (sim.into_choices(), outcome)
            })?;
            debug_assert_eq!(searched.runs - before, found.runs);
            searched.deepest = searched.deepest.max(found.deepest);
            searched.completeness = found.completeness;
            if matches!(found.completeness, Completeness::Stopped | Completeness::All) {
                break;
            }
        }
        Ok(searched)
    }
}

/// Iterative bounding: what needs few delays is found before any run with many.
fn levels(switches: Switches) -> Vec<Switches> {
    match switches {
        Switches::Any => vec![Switches::Any],
        Switches::Preemptions(most) => (0..=most).map(Switches::Preemptions).collect(),
        Switches::Delays(most) => (0..=most).map(Switches::Delays).collect(),
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, events, deepest, cut, completeness, failure } = self;
        if let Some(failure) = failure {
            writeln!(f, "{failure}")?;
        }
        write!(f, "{runs} runs, {events} events, at most {deepest} choices in a run; ")?;
        write!(f, "{completeness}")?;
        if *cut > 0 {
            write!(
                f,
                "; {cut} runs were cut at their bound of events, and nobody knows their end"
            )?;
        }
        Ok(())
    }
}
