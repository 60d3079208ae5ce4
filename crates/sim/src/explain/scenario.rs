//! A scenario's failure, seen again with a story.

use super::Explanation;
use crate::campaign::Scenario;
use crate::choices::Choices;
use crate::failure::Failure;
use crate::sim::Sim;

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Runs a failure's tape once more, and tells how it comes to it; without a tape its seed.
    /// `None` if it does not fail any more.
    pub fn explain(&self, failure: &Failure) -> Option<Explanation> {
        let choices = match &failure.tape {
            Some(tape) => Choices::replayed(tape),
            None => Choices::seeded(failure.seed),
        };
        let mut sim = (self.make)(failure.seed, choices);
        sim.keep_story();
        let failure = self.played(&mut sim)?;
        sim.explain(&failure)
    }
}
