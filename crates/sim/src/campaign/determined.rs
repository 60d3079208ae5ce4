//! The gate for determinism: the same seed is the same run.

use std::ops::{ControlFlow, Range};

use super::{Campaign, MOST_EVENTS, Scenario, jobs};
use crate::choices::Choices;
use crate::failure::Failure;
use crate::sim::Sim;
use crate::trace::Happened;

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
    /// Runs each seed twice, the second time with its choices recorded.
    ///
    /// # Errors
    /// [`Undetermined`] names the first event that differs.
    pub fn determined(&self, seeds: Range<u64>) -> Result<(), Undetermined> {
        for seed in seeds {
            let one = self.fingerprint(seed, Choices::seeded(seed));
            let two = self.fingerprint(seed, Choices::seeded(seed).recording());
            if one != two {
                return Err(self.undetermined(seed));
            }
        }
        Ok(())
    }

    /// How a run went, and how it ended.
    fn fingerprint(&self, seed: u64, choices: Choices) -> (u64, bool) {
        let (sim, failure) = self.run(seed, choices);
        (sim.trace().hash(), failure.is_some())
    }

    /// Runs a seed again, to see where it goes another way.
    fn undetermined(&self, seed: u64) -> Undetermined {
        let trace = |choices| {
            let mut sim = (self.make)(seed, choices);
            sim.keep_trace();
            sim.limit_events(MOST_EVENTS);
            // How it ends is part of what is compared.
            let failed = self.played(&mut sim).is_some();
            (sim.trace().kept().to_vec(), failed)
        };
        let (one, two) = (trace(Choices::seeded(seed)), trace(Choices::seeded(seed).recording()));
        let difference = if one == two {
            "but two more runs were: it differs only now and then".to_owned()
        } else {
            difference(&one.0, &two.0)
        };
        Undetermined { seed, difference }
    }
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim + Sync,
    P: Fn(&mut Sim) -> Result<(), Failure> + Sync,
{
    /// Runs each seed with one thread and with several: a run must not depend on those beside it.
    ///
    /// # Errors
    /// [`Undetermined`] names the first event that differs.
    pub fn determined_with(&self, seeds: Range<u64>, how: &Campaign) -> Result<(), Undetermined> {
        let all = |jobs| {
            let mut found = Vec::new();
            let run = |seed| self.fingerprint(seed, Choices::seeded(seed));
            jobs::in_order(seeds.clone(), jobs, run, |_, one| {
                found.push(one);
                ControlFlow::Continue(())
            });
            found
        };
        let differs = all(1).into_iter().zip(all(how.jobs)).position(|(one, two)| one != two);
        match differs {
            None => Ok(()),
            Some(at) => Err(self.undetermined(seeds.start + at as u64)),
        }
    }
}

fn difference(one: &[Happened], two: &[Happened]) -> String {
    let at = one.iter().zip(two).position(|(one, two)| one != two);
    let at = at.unwrap_or_else(|| one.len().min(two.len()));
    let say = |events: &[Happened]| {
        events.get(at).map_or_else(|| "nothing more".to_owned(), ToString::to_string)
    };
    format!("event {at} is\n{}\nand then\n{}\n{LIKELY}", say(one), say(two))
}

/// What it has been, where it was found.
const LIKELY: &str = "something asks the real clock, other random numbers than the context's, the \
    order of a `HashMap`, or what all runs share";
