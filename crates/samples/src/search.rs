//! Ways to look for a bug, to be compared.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use dx_sim::explore::Bounds;
use dx_sim::{
    Campaign, Choices, Delay, Failure, FaultKind, FaultPlan, Order, Priorities, Report, Scenario,
    Sim, Systematic,
};
use serde::Serialize;

use crate::sample::{Sample, Size, up_to};

/// Where a run's faults come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// All kinds of faults, in each run at the same rate.
    Random,
    /// Each run draws its own mix of kinds, rate and length.
    Swarm,
    /// A few faults, and random priorities of who goes first.
    Priority,
    /// All orders of a small system with at most one fault, those with few delays first.
    Systematic,
    /// No fault at all in a small system: what can be found so is short to read.
    Calm,
}

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// Runs, up to the one that failed.
    pub runs: u64,
    /// Events in all of them.
    pub events: u64,
    /// How that failed, if one did.
    pub failure: Option<Failure>,
}

impl Search {
    /// Those that are compared.
    pub const ALL: [Self; 4] = [Self::Random, Self::Swarm, Self::Priority, Self::Systematic];
    /// Those that try seeds.
    pub const SEEDED: [Self; 3] = [Self::Random, Self::Swarm, Self::Priority];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Swarm => "swarm",
            Self::Priority => "priority",
            Self::Systematic => "systematic",
            Self::Calm => "calm",
        }
    }

    /// Looks for a failure of `sample` with `bug` in so many runs.
    ///
    /// # Panics
    /// If a run is not the same when it is repeated.
    #[must_use]
    pub fn find(self, sample: &Sample, bug: Option<&str>, runs: u64, jobs: usize) -> Found {
        if self != Self::Systematic {
            let report = self.look(sample, bug, 0..runs, jobs);
            let (runs, events) = (report.seeds, report.events);
            return Found { runs, events, failure: report.first().cloned() };
        }
        let mut how = Systematic::default();
        how.bounds = Bounds { runs, ..how.bounds };
        let searched = self.scenario(sample, bug).search(0, &how, |_| ());
        let searched = searched.unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        Found { runs: searched.runs, events: searched.events, failure: searched.failure }
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
        let how = Campaign { jobs, order: self.order(), ..Campaign::default() };
        self.scenario(sample, bug).campaign(seeds, &how, |_| ControlFlow::Continue(()))
    }

    /// How runs decide what comes next, where they try seeds.
    #[must_use]
    pub fn order(self) -> Order {
        match self {
            Self::Priority => Order::Priorities(Priorities::default()),
            Self::Random | Self::Swarm | Self::Systematic | Self::Calm => Order::Drawn,
        }
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
            make: move |seed, choices| sample.world(bug, self.size(sample), seed, choices),
            play: move |sim: &mut Sim| {
                self.torment(sim, sample)?;
                (sample.ends)(sim)
            },
        }
    }

    /// The size of its worlds; `None` if each draws its own.
    fn size(self, sample: &Sample) -> Option<Size> {
        let small = sample.sizes.small;
        match self {
            Self::Systematic => Some(small),
            // There is no need to try everything, so there may be a little more.
            Self::Calm => Some(Size { operations: small.operations + 1, ..small }),
            Self::Random | Self::Swarm | Self::Priority => None,
        }
    }

    fn torment(self, sim: &mut Sim, sample: &Sample) -> Result<(), Failure> {
        let lasts = match self {
            Self::Systematic => {
                sample.small_torments[sim.choices_mut().choose("torment", 2) as usize]
            }
            // The plan stays what it is if less of it comes to pass: its slots are those of all.
            _ => {
                let parts = 1 + up_to(sim.choices_mut(), "torment", PARTS - 1);
                sample.torment * parts as u32 / PARTS as u32
            }
        };
        let plan = match self {
            Self::Swarm | Self::Priority => {
                FaultPlan::swarm(sim.choices_mut(), sample.torment, sample.most_down)
            }
            Self::Random => steady(sample),
            Self::Systematic => few(sample, lasts),
            Self::Calm => FaultPlan { kinds: Vec::new(), loss: 0.0, ..steady(sample) },
        };
        sim.unleash(plan);
        sim.run_for(lasts)?;
        sim.heal();
        Ok(())
    }
}

/// Parts of its torment of which a run has some.
const PARTS: u64 = 20;

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

/// What a small system may have one of. More kinds are more than can be tried.
fn few(sample: &Sample, lasts: Duration) -> FaultPlan {
    FaultPlan {
        kinds: vec![FaultKind::Crash, FaultKind::Pause, FaultKind::Clog],
        lasts,
        every: lasts / 4,
        mended_after: lasts / 20,
        delay: Delay::Fixed(Duration::from_micros(100)),
        loss: 0.0,
        ..steady(sample)
    }
}
