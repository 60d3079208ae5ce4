//! Real runs made smaller: what is left is what the failure needs.

use super::Scenario;
use crate::choices::Choices;
use crate::failure::Failure;
use crate::shrink::{ShrinkError, Shrunk, shrink_to_asked};
use crate::sim::Sim;
use crate::tape::{Size, Tape};

/// How much is tried to make a failure smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Runs.
    pub runs: u64,
    /// How many times the events of the failure a run may take, to fail in the same way. One that
    /// takes more counts as passing: without what ended it, it may go on for ever.
    pub growth: u64,
}

impl Default for Effort {
    /// Two thousand runs, some seconds; up to twice as long as the failure.
    fn default() -> Self {
        Self { runs: 2000, growth: 2 }
    }
}

/// Where shrinking has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrinking {
    /// Runs so far.
    pub runs: u64,
    /// The size of the smallest tape that fails.
    pub size: Size,
    /// The events of its run.
    pub events: u64,
}

/// A smaller failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smaller {
    /// It, with its tape: of the same rule as the one that it was made of.
    pub failure: Failure,
    /// How it was found, in the last of its tries.
    pub shrunk: Shrunk,
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Looks for the plainest and shortest run that breaks the same rule. `progress` is told after
    /// each run.
    ///
    /// What makes a run plainer often makes it longer: with the shortest of all delays much happens
    /// until a fault comes. So there are two tries with a quarter of the runs each: one may take longer
    /// than the failure, the other never longer than the best so far. From the shorter result on,
    /// what is left of the runs looks for one of which there is less to [read], and makes that
    /// plainer as far as there is no more to read of it.
    ///
    /// [read]: crate::Explanation::to_read
    ///
    /// # Errors
    /// If the failure's tape does not break its rule: it has none, or the code has changed.
    pub fn shrink(
        &self,
        failure: &Failure,
        effort: &Effort,
        progress: impl FnMut(&Shrinking),
    ) -> Result<Smaller, ShrinkError> {
        let longer = failure.events.saturating_mul(effort.growth).max(failure.events);
        let mut told = Told { progress, runs: 0 };
        let mut tries = Vec::new();
        for most in [Some(longer), None] {
            tries.push(self.shrink_within(failure, effort.runs / 4, most, &mut told)?);
        }
        let best = tries.into_iter().min_by_key(|it| (it.failure.events, it.shrunk.tape.size()));
        let best = best.expect("there were two");
        let left = |told: &Told<_>| effort.runs.saturating_sub(told.runs);
        let runs = left(&told) / 4 * 3;
        if let Some(shorter) = self.shorten(&best.failure, runs, |shortest| told.ran(shortest)) {
            let runs = left(&told);
            return told.shrink(&shorter.failure, runs, |tape, best| {
                let most = best.events.saturating_mul(effort.growth).max(SHORT);
                let read = self.read(failure, tape, most)?;
                (read.rows <= shorter.rows).then_some(read.failure)
            });
        }
        match left(&told) {
            runs if runs > 0 && !best.shrunk.is_minimal => {
                self.shrink_within(&best.failure, runs, None, &mut told)
            }
            _ => Ok(best),
        }
    }

    /// One try; without a bound, no run is longer than the best so far.
    fn shrink_within(
        &self,
        failure: &Failure,
        runs: u64,
        most: Option<u64>,
        told: &mut Told<impl FnMut(&Shrinking)>,
    ) -> Result<Smaller, ShrinkError> {
        told.shrink(failure, runs, |tape, best| {
            let most = most.unwrap_or(best.events).max(SHORT) + 1;
            let (_, again) = self.run_within(failure.seed, Choices::replayed(tape), most);
            again.filter(|again| again.what == failure.what)
        })
    }
}
/// Who hears of each run.
struct Told<F> {
    progress: F,
    runs: u64,
}

impl<F: FnMut(&Shrinking)> Told<F> {
    /// A run was tried; this is the best now.
    fn ran(&mut self, best: &Failure) {
        self.runs += 1;
        let size = best.tape.as_deref().map(Tape::size).unwrap_or_default();
        (self.progress)(&Shrinking { runs: self.runs, size, events: best.events });
    }

    /// Makes a failure's tape plainer in so many runs. `run` is given a tape, and the best failure so
    /// far; it gives the tape's failure if that counts.
    fn shrink(
        &mut self,
        failure: &Failure,
        runs: u64,
        mut run: impl FnMut(&Tape, &Failure) -> Option<Failure>,
    ) -> Result<Smaller, ShrinkError> {
        let tape = failure.tape.as_deref().ok_or(ShrinkError::DoesNotFail)?;
        let mut best = failure.clone();
        let shrunk = shrink_to_asked(tape, runs, |tape: &Tape| {
            let again = run(tape, &best);
            let asked = again.as_ref().and_then(|again| again.tape.as_deref().cloned());
            if let Some(again) = again {
                best = again;
            }
            self.ran(&best);
            asked
        })?;
        Ok(Smaller { failure: best, shrunk })
    }
}

/// Events below which a run need not be shorter: it is short enough to be read.
const SHORT: u64 = 40;
