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
    /// A thousand runs, some seconds; up to twice as long as the failure.
    fn default() -> Self {
        Self { runs: 1000, growth: 2 }
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
    /// until a fault comes. So there are two tries with half of the runs each: one may take longer
    /// than the failure, the other never longer than the best so far. The shorter result counts, and
    /// gets what is left of the runs.
    ///
    /// # Errors
    /// If the failure's tape does not break its rule: it has none, or the code has changed.
    pub fn shrink(
        &self,
        failure: &Failure,
        effort: &Effort,
        mut progress: impl FnMut(&Shrinking),
    ) -> Result<Smaller, ShrinkError> {
        let longer = failure.events.saturating_mul(effort.growth).max(failure.events);
        let (half, mut done) = (effort.runs / 2, 0);
        let mut tries = Vec::new();
        for most in [Some(longer), None] {
            let smaller = self.shrink_within(failure, half, most, &mut done, &mut progress)?;
            tries.push(smaller);
        }
        let best = tries.into_iter().min_by_key(|it| (it.failure.events, it.shrunk.tape.size()));
        let best = best.expect("there were two");
        let left = effort.runs.saturating_sub(done);
        if left == 0 || best.shrunk.is_minimal {
            return Ok(best);
        }
        self.shrink_within(&best.failure, left, None, &mut done, &mut progress)
    }

    /// One try; without a bound, no run is longer than the best so far.
    fn shrink_within(
        &self,
        failure: &Failure,
        runs: u64,
        most: Option<u64>,
        done: &mut u64,
        progress: &mut impl FnMut(&Shrinking),
    ) -> Result<Smaller, ShrinkError> {
        let tape = failure.tape.as_deref().ok_or(ShrinkError::DoesNotFail)?;
        let mut best = failure.clone();
        let mut size = tape.size();
        let shrunk = shrink_to_asked(tape, runs, |tape: &Tape| {
            let most = most.unwrap_or(best.events).max(SHORT) + 1;
            let (_, again) = self.run_within(failure.seed, Choices::replayed(tape), most);
            let again = again.filter(|again| again.what == failure.what);
            let asked = again.as_ref().and_then(|again| again.tape.as_deref().cloned());
            if let (Some(again), Some(asked)) = (again, &asked) {
                (best, size) = (again, asked.size());
            }
            *done += 1;
            progress(&Shrinking { runs: *done, size, events: best.events });
            asked
        })?;
        Ok(Smaller { failure: best, shrunk })
    }
}

/// Events below which a run need not be shorter: it is short enough to be read.
const SHORT: u64 = 40;
