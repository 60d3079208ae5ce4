//! A failure of a planted bug, made short enough to be read.

use std::ops::ControlFlow;

use dx_sim::{Campaign, Choices, Effort, Explanation, Failure, Scenario, Sim};

use crate::sample::{Planted, Sample};
use crate::search::Search;

/// What there is to read of a failure has fewer rows than this.
pub const READABLE: usize = 40;

/// How many times the seeds and the runs of a trouble are tried, one after the other.
const MORE: [(u64, u64); 3] = [(1, 1), (10, 2), (100, 4)];

/// How much is tried to have a short failure.
///
/// Short runs come from short failures: of many the shortest is made shorter, and not the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Runs of each search.
    pub seeds: u64,
    /// Failures among them after which no more are looked for.
    pub failures: usize,
    /// Of these, how many are shrunk at most, those of each search with the fewest rows first, until one
    /// can be [read](READABLE).
    pub shrunk: usize,
    /// Runs to shrink each.
    pub runs: u64,
}

impl Default for Trouble {
    /// Some seconds for each bug.
    fn default() -> Self {
        Self { seeds: 1000, failures: 100, shrunk: 10, runs: 1000 }
    }
}

/// A short failure of a bug.
#[derive(Clone, Debug)]
pub struct Short {
    /// Where it was found.
    pub search: Search,
    /// Events of the run in which it was found.
    pub found: u64,
    /// It, as short as it became.
    pub failure: Failure,
    /// What can have caused it: the part of the run that is to be read.
    pub explanation: Explanation,
}

impl Short {
    /// A failure of `bug` that can be [read](READABLE), for so much trouble, or for ten times as many
    /// seeds and twice as many runs, or for more of both once more: rare bugs have few failures to
    /// choose from. Else the shortest; `None` if there is none at all.
    ///
    /// # Panics
    /// If a run is not the same when it is repeated.
    #[must_use]
    pub fn readable(sample: &Sample, bug: &Planted, trouble: &Trouble) -> Option<Self> {
        let mut best: Option<Self> = None;
        for (seeds, runs) in MORE {
            let (seeds, runs) = (trouble.seeds * seeds, trouble.runs * runs);
            let short = Self::of(sample, bug, &Trouble { seeds, runs, ..*trouble });
            best = best.into_iter().chain(short).min_by_key(Self::rows);
            if best.as_ref().is_some_and(|best| best.rows() < READABLE) {
                break;
            }
        }
        best
    }

    /// The shortest failure of `bug` for so much trouble; `None` if there is none at all.
    ///
    /// # Panics
    /// If a run is not the same when it is repeated.
    #[must_use]
    pub fn of(sample: &Sample, bug: &Planted, trouble: &Trouble) -> Option<Self> {
        let mut found: Vec<(usize, Self)> = Vec::new();
        for search in Search::ALL.into_iter().chain([Search::Calm]) {
            let failures = failures(search, sample, bug, trouble).into_iter();
            let expected = failures.filter(|it| bug.breaks.contains(&it.what.as_str()));
            let mut explained: Vec<Self> = expected
                .map(|failure| {
                    let scenario = search.scenario(sample, Some(bug.name));
                    Self::explained(search, failure.events, failure, &scenario)
                })
                .collect();
            explained.sort_by_key(|it| (it.rows(), it.failure.events));
            found.extend((0..).zip(explained));
        }
        // The best of each search, then the second best of each: what is short at first need not be
        // what can be made shorter.
        found.sort_by_key(|(place, it)| (*place, it.rows(), it.failure.events));
        found.truncate(trouble.shrunk);
        let effort = Effort { runs: trouble.runs, ..Effort::default() };
        let mut best: Option<Self> = None;
        for (_, Self { search, found, failure, .. }) in found {
            let scenario = search.scenario(sample, Some(bug.name));
            let smaller = scenario.shrink(&failure, &effort, |_| ());
            let smaller = smaller.expect("it failed when its tape was recorded").failure;
            let short = Self::explained(search, found, smaller, &scenario);
            if best.as_ref().is_none_or(|best| short.rows() < best.rows()) {
                best = Some(short);
            }
            if best.as_ref().is_some_and(|best| best.rows() < READABLE) {
                break;
            }
        }
        best
    }

    fn explained<M, P>(
        search: Search,
        found: u64,
        failure: Failure,
        scenario: &Scenario<M, P>,
    ) -> Self
    where
        M: Fn(u64, Choices) -> Sim,
        P: Fn(&mut Sim) -> Result<(), Failure>,
    {
        let explanation = scenario.explain(&failure).expect("it fails by its tape");
        Self { search, found, failure, explanation }
    }

    /// What there is to read: each message that was handled or lost, what an agent did by itself, and
    /// each fault, as far as it can have mattered.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.explanation.to_read()
    }
}

fn failures(search: Search, sample: &Sample, bug: &Planted, trouble: &Trouble) -> Vec<Failure> {
    if search == Search::Systematic {
        return search.find(sample, Some(bug.name), trouble.seeds, 1).failure.into_iter().collect();
    }
    let how = Campaign { failures: trouble.failures, order: search.order(), ..Campaign::default() };
    let scenario = search.scenario(sample, Some(bug.name));
    scenario.campaign(0..trouble.seeds, &how, |_| ControlFlow::Continue(())).failures
}
