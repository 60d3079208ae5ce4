//! Many seeds of one scenario, until one fails.

use std::ops::Range;

use crate::choices::Choices;
use crate::failure::{Failure, SEED_VARIABLE};
use crate::sim::Sim;

/// Something to be tried with many seeds: how its world is made, and what is done in it.
pub struct Scenario<M, P> {
    /// Makes the world of a seed, with these choices.
    pub make: M,
    /// What is done there.
    pub play: P,
}

/// What came of a campaign.
#[derive(Debug, Default)]
pub struct Report {
    /// Seeds that were tried.
    pub seeds: u64,
    /// Events in all their worlds.
    pub events: u64,
    /// The first failure, with its tape.
    pub failure: Option<Failure>,
}

/// Two runs of one seed were not the same: something in them depends on more than their choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed} is not the same run twice: {difference}")]
pub struct Undetermined {
    /// The seed.
    pub seed: u64,
    /// The first event that differs, in both runs.
    pub difference: String,
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Tries these seeds, or the one of the environment's [`SEED_VARIABLE`], up to the first that
    /// fails. That one is run again to record its tape.
    pub fn explore(&self, seeds: Range<u64>) -> Report {
        let mut report = Report::default();
        for seed in chosen(seeds) {
            report.seeds += 1;
            let (sim, failure) = self.run(seed, Choices::seeded(seed));
            report.events += sim.trace().events();
            if failure.is_some() {
                report.failure = self.run(seed, Choices::seeded(seed).recording()).1;
                break;
            }
        }
        report
    }

    /// One run: the world as it was left, and how it failed if it did.
    pub fn run(&self, seed: u64, choices: Choices) -> (Sim, Option<Failure>) {
        let mut sim = (self.make)(seed, choices);
        let failure = (self.play)(&mut sim).err();
        (sim, failure)
    }

    /// The run of a failure's tape again.
    pub fn replay(&self, failure: &Failure) -> (Sim, Option<Failure>) {
        let tape = failure.tape.as_deref().cloned().unwrap_or_default();
        self.run(failure.seed, Choices::replayed(&tape))
    }

    /// Runs each seed twice.
    ///
    /// # Errors
    /// [`Undetermined`] names the first event that differs.
    pub fn determined(&self, seeds: Range<u64>) -> Result<(), Undetermined> {
        for seed in seeds {
            let [one, two] = [(); 2].map(|()| {
                let mut sim = (self.make)(seed, Choices::seeded(seed));
                sim.keep_trace();
                // How it ends is part of what is compared.
                let failed = (self.play)(&mut sim).is_err();
                (sim, failed)
            });
            if one.0.trace().hash() != two.0.trace().hash() || one.1 != two.1 {
                return Err(Undetermined { seed, difference: difference(&one.0, &two.0) });
            }
        }
        Ok(())
    }
}

fn difference(one: &Sim, two: &Sim) -> String {
    let (one, two) = (one.trace().kept(), two.trace().kept());
    let at = one.iter().zip(two).position(|(one, two)| one != two);
    let at = at.unwrap_or_else(|| one.len().min(two.len()));
    let say = |events: &[crate::trace::Happened]| {
        events.get(at).map_or_else(|| "nothing more".to_owned(), ToString::to_string)
    };
    format!("event {at} is\n{}\nand then\n{}", say(one), say(two))
}

fn chosen(seeds: Range<u64>) -> Range<u64> {
    let chosen = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
    chosen.map_or(seeds, |seed: u64| seed..seed.saturating_add(1))
}

impl Report {
    /// Panics with what failed, and how to see it again.
    ///
    /// # Panics
    /// If a seed failed.
    pub fn expect_none(&self) {
        if let Some(failure) = &self.failure {
            panic!("{failure}");
        }
    }
}
