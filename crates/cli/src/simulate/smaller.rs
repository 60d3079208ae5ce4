//! A failing seed made small: what is left is what its failure needs.

use dx_sim::campaign::{Effort, Scenario, Shrinking};
use dx_sim::shrink::ShrinkError;
use dx_sim::{Choices, Failure, Sim};

use super::{Kept, World};

/// A failing seed that was made smaller.
#[derive(Clone, Debug, PartialEq)]
pub struct Smaller {
    /// It, of the same rule.
    pub kept: Kept,
    /// How many runs that took.
    pub runs: u64,
}

impl World {
    /// Looks for the plainest and shortest run that breaks the same rule. `progress` is told after
    /// each run.
    ///
    /// # Errors
    /// If the failure is not seen again: the program has changed.
    pub fn smaller(
        &self,
        kept: &Kept,
        progress: impl FnMut(&Shrinking),
    ) -> Result<Smaller, ShrinkError> {
        let make = |seed, choices: Choices| self.make(seed, choices);
        let play = |sim: &mut Sim| -> Result<(), Failure> { self.play(sim) };
        let mut runs = 0;
        let mut progress = progress;
        let found =
            Scenario { make, play }.shrink(&kept.failure, &Effort::default(), |shrinking| {
                runs = shrinking.runs;
                progress(shrinking);
            })?;
        let mut setup = kept.setup.clone();
        // What is plainer may take longer.
        setup.events = setup.events.max(found.failure.events);
        Ok(Smaller { kept: Kept { failure: found.failure, setup, ..kept.clone() }, runs })
    }
}
