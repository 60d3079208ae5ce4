//! What came of a campaign.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tried;
use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::plan::FaultKind;
use crate::trace::fold;

/// What came of a campaign: the same for the same seeds, however many threads it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Seeds that were tried.
    pub seeds: u64,
    /// Events in all their worlds.
    pub events: u64,
    /// The time that passed in all their worlds.
    pub simulated: Duration,
    /// Faults that were injected, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// What all their worlds have seen.
    pub coverage: Coverage,
    /// All runs as one number.
    pub hash: u64,
    /// The failures, in the order of seeds, each with its tape.
    pub failures: Vec<Failure>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            seeds: 0,
            events: 0,
            simulated: Duration::ZERO,
            faults: BTreeMap::new(),
            coverage: Coverage::of_campaign(),
            hash: 0,
            failures: Vec::new(),
        }
    }
}

impl Report {
    /// The failure of the smallest seed.
    #[must_use]
    pub fn first(&self) -> Option<&Failure> {
        self.failures.first()
    }

    /// Panics with what failed, and how to see it again.
    ///
    /// # Panics
    /// If a seed failed.
    #[track_caller]
    pub fn expect_none(&self) {
        if let Some(failure) = self.first() {
            panic!("{failure}\nto have it drawn: `Scenario::must_hold`, or `Scenario::explain`");
        }
    }

    pub(super) fn add(&mut self, tried: Tried) {
        self.seeds += 1;
        self.events += tried.events;
        self.simulated += tried.lasted;
        for (kind, count) in tried.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.coverage.merge(&tried.coverage);
        self.hash = fold(self.hash, tried.hash);
    }
}

/// The coverage, below a line of figures for each kind of fault and for all.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, events, simulated, faults, coverage, failures, .. } = self;
        for (kind, count) in faults {
            writeln!(f, "{count:>10}  {kind:?}")?;
        }
        let failed = failures.len();
        writeln!(f, "{seeds} seeds, {events} events, {simulated:?} simulated, {failed} failed")?;
        write!(f, "{coverage}")
    }
}
