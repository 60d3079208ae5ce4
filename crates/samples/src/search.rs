//! Ways to look for a bug, to be compared.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use dx_sim::{Campaign, Choices, Delay, Failure, FaultKind, FaultPlan, Report, Scenario, Sim};
use serde::Serialize;

use crate::sample::{Sample, Size};

/// Where a run's faults come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// All kinds of faults, in each run at the same rate.
    Random,
    /// Each run draws its own mix of kinds, rate and length.
    Swarm,
}

impl Search {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Random, Self::Swarm];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Swarm => "swarm",
        }
    }

    /// Tries `sample` with `bug` in these seeds, on so many threads, up to the first failure. What
    /// is reported does not depend on the threads.
    #[must_use]
    pub fn look(
        self,
        sample: &Sample,
        bug: Option<&str>,
        seeds: Range<u64>,
        jobs: usize,
    ) -> Report {
        let how = Campaign { jobs, ..Campaign::default() };
        self.scenario(sample, bug).campaign(seeds, &how, |_| ControlFlow::Continue(()))
    }

    /// `sample` with `bug`, as something to be tried.
    #[must_use]
    pub fn scenario<'a>(
        self,
        sample: &'a Sample,
        bug: Option<&'a str>,
    ) -> Scenario<
        impl Fn(u64, Choices) -> Sim + Sync + 'a,
        impl Fn(&mut Sim) -> Result<(), Failure> + Sync + 'a,
    > {
        Scenario {
            make: move |seed, choices| sample.world(bug, Size::Full, seed, choices),
            play: move |sim: &mut Sim| {
                self.torment(sim, sample)?;
                (sample.ends)(sim)
            },
        }
    }

    fn torment(self, sim: &mut Sim, sample: &Sample) -> Result<(), Failure> {
        match self {
            Self::Swarm => sim.torment(sample.torment, sample.most_down).map(drop),
            Self::Random => {
                sim.unleash(steady(sample));
                sim.run_for(sample.torment)?;
                sim.heal();
                Ok(())
            }
        }
    }
}

/// All kinds, in the middle of what a swarm draws from.
fn steady(sample: &Sample) -> FaultPlan {
    let mean = Duration::from_micros(600);
    FaultPlan {
        lasts: sample.torment,
        kinds: FaultKind::ALL.to_vec(),
        every: sample.torment / 60,
        mended_after: sample.torment / 60,
        most_down: sample.most_down,
        delay: Delay::Exponential { least: mean / 4, mean },
        loss: 0.02,
    }
}
