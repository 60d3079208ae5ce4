//! Many seeds of one scenario: on several threads, and with the same result on any number.

mod determined;
mod jobs;
mod replay;
mod report;
mod search;
mod shortening;
mod shrinking;

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::choices::{Choices, Priorities};
use crate::failure::{Failure, SEED_VARIABLE};
use crate::plan::FaultKind;
use crate::sim::Sim;

pub use self::determined::Undetermined;
pub use self::replay::{Again, Replayed};
pub use self::report::Report;
pub use self::search::{Searched, Systematic};
pub use self::shrinking::{Effort, Shrinking, Smaller};

/// Something to be tried with many seeds: how its world is made, and what is done in it.
///
/// Both must depend on nothing but their arguments: a world lives in one thread, and which one
/// that is differs from run to run.
pub struct Scenario<M, P> {
    /// Makes the world of a seed, with these choices.
    pub make: M,
    /// What is done there.
    pub play: P,
}

/// How many seeds are tried at once, and when that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Threads, each with a world at a time. What is reported does not depend on it. 0 counts as 1.
    pub jobs: usize,
    /// Events that one seed's world may take. One that takes more fails: it may never end.
    pub events: u64,
    /// Failures after which it ends. 0 counts as 1.
    pub failures: usize,
    /// How it is decided what comes next.
    pub order: Order,
}

/// How a campaign decides what comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By delays that are drawn.
    #[default]
    Drawn,
    /// By random priorities, with delays that are always the shortest: better where a bug needs that
    /// something is overtaken by much else.
    Priorities(Priorities),
}

impl Order {
    fn choices(&self, seed: u64) -> Choices {
        match self {
            Self::Drawn => Choices::seeded(seed),
            Self::Priorities(priorities) => Choices::prioritized(seed, priorities),
        }
    }
}

/// Events that a run may take if nobody says otherwise: about a minute. A guess; the samples take
/// less than a thousandth of it.
pub const MOST_EVENTS: u64 = 100_000_000;

impl Default for Campaign {
    /// One thread, up to the first failure.
    fn default() -> Self {
        Self { jobs: 1, events: MOST_EVENTS, failures: 1, order: Order::Drawn }
    }
}

/// What came of one seed.
pub(crate) struct Tried {
    hash: u64,
    events: u64,
    lasted: Duration,
    faults: Vec<(FaultKind, u64)>,
    coverage: crate::coverage::Coverage,
    failure: Option<Failure>,
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Tries these seeds on this thread, or the one of the environment's [`SEED_VARIABLE`], up to
    /// the first that fails.
    ///
    /// # Panics
    /// If that variable is there and has no seed in it.
    pub fn explore(&self, seeds: Range<u64>) -> Report {
        let (mut report, how) = (Report::default(), Campaign::default());
        for seed in chosen(seeds) {
            let tried = self.attempt(seed, &how);
            if self.take(&mut report, seed, tried, &how) {
                break;
            }
        }
        report
    }

    /// One run: the world as it was left, and how it failed if it did.
    pub fn run(&self, seed: u64, choices: Choices) -> (Sim, Option<Failure>) {
        self.run_within(seed, choices, MOST_EVENTS)
    }

    /// The same with a bound on its events.
    pub(crate) fn run_within(
        &self,
        seed: u64,
        choices: Choices,
        events: u64,
    ) -> (Sim, Option<Failure>) {
        let mut sim = (self.make)(seed, choices);
        sim.limit_events(events);
        let failure = self.played(&mut sim);
        (sim, failure)
    }

    /// How the play fails: also by something that it has done last, which no event came after.
    pub(crate) fn played(&self, sim: &mut Sim) -> Option<Failure> {
        let failure = (self.play)(sim).err();
        failure.or_else(|| sim.failure.take().map(|failure| *failure))
    }

    /// The run of a failure's tape again.
    pub fn replay(&self, failure: &Failure) -> (Sim, Option<Failure>) {
        let tape = failure.tape.as_deref().cloned().unwrap_or_default();
        self.run(failure.seed, Choices::replayed(&tape))
    }

    /// One seed of many: what panics there is its failure.
    fn attempt(&self, seed: u64, how: &Campaign) -> Tried {
        let run = || self.run_within(seed, how.order.choices(seed), how.events);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok((sim, failure)) => Tried {
                hash: sim.trace().hash(),
                events: sim.trace().events(),
                lasted: Duration::from_nanos(sim.now().0),
                faults: sim.faults(),
                coverage: sim.coverage(),
                failure,
            },
            Err(panic) => Tried {
                hash: 0,
                events: 0,
                lasted: Duration::ZERO,
                faults: Vec::new(),
                coverage: crate::coverage::Coverage::of_run(seed),
                failure: Some(Failure::panicked(seed, panic.as_ref())),
            },
        }
    }

    /// Adds a seed to the report, in the order of seeds. A failure is run again, to record its
    /// tape. True if there was one.
    fn take(&self, report: &mut Report, seed: u64, tried: Tried, how: &Campaign) -> bool {
        let failure = tried.failure.clone();
        report.add(tried);
        let Some(failure) = failure else { return false };
        report.failures.push(self.recorded(seed, failure, how));
        true
    }

    fn recorded(&self, seed: u64, failure: Failure, how: &Campaign) -> Failure {
        if failure.is_panic() {
            return failure;
        }
        let (_, again) = self.run_within(seed, how.order.choices(seed).recording(), how.events);
        match again {
            Some(again) if again.trace == failure.trace => again,
            again => Failure {
                what: "a seed is the same run twice".to_owned(),
                text: format!(
                    "the first run broke `{}`, the second {}: something in it depends on more than its choices",
                    failure.what,
                    again.map_or("nothing".to_owned(), |again| format!("`{}`", again.what)),
                ),
                ..failure
            },
        }
    }
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim + Sync,
    P: Fn(&mut Sim) -> Result<(), Failure> + Sync,
{
    /// Tries these seeds, or the one of the environment's [`SEED_VARIABLE`], on several threads.
    /// The report is that of trying one after the other. `progress` sees it after each seed, and
    /// may end the campaign.
    ///
    /// # Panics
    /// If that variable is there and has no seed in it.
    pub fn campaign(
        &self,
        seeds: Range<u64>,
        how: &Campaign,
        mut progress: impl FnMut(&Report) -> ControlFlow<()>,
    ) -> Report {
        let mut report = Report::default();
        let attempt = |seed| self.attempt(seed, how);
        jobs::in_order(chosen(seeds), how.jobs, attempt, |seed, tried| {
            self.take(&mut report, seed, tried, how);
            if report.failures.len() >= how.failures.max(1) {
                return ControlFlow::Break(());
            }
            progress(&report)
        });
        report
    }
}

/// A misspelt seed is no reason to try all the others in its place.
fn chosen(seeds: Range<u64>) -> Range<u64> {
    let Some(text) = std::env::var_os(SEED_VARIABLE) else { return seeds };
    let seed = text.to_str().and_then(|text| text.parse().ok()).filter(|seed| *seed < u64::MAX);
    let seed: u64 = seed.unwrap_or_else(|| {
        panic!("{SEED_VARIABLE} is {}, which is no seed: a number is one", text.display())
    });
    seed..seed + 1
}
