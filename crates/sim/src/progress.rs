//! Whether a run gets anywhere: livelock and starvation, told by counting events.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

/// Tells a livelock: many events, and none of them brought anybody further.
///
/// What is progress is the workload's to say (an operation answered, a height decided), since no
/// simulator can know it.
#[derive(Clone, Debug)]
pub struct Progress {
    budget: u64,
    events: u64,
    latest: u64,
}

/// Events without progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "livelock: no progress in {events} events, since event {since}; raise the budget if the work is that long"
)]
pub struct Livelock {
    /// How many.
    pub events: u64,
    /// The event of the last progress, or 0.
    pub since: u64,
}

impl Progress {
    /// A run that may take up to `budget` events from one progress to the next.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self { budget, events: 0, latest: 0 }
    }

    /// Something was achieved in the current event.
    pub fn mark(&mut self) {
        self.latest = self.events;
    }

    /// An event begins.
    ///
    /// # Errors
    /// If all of the budget was used without progress.
    pub fn event(&mut self) -> Result<(), Livelock> {
        let events = self.events - self.latest;
        if events >= self.budget {
            return Err(Livelock { events, since: self.latest });
        }
        self.events += 1;
        Ok(())
    }
}

/// Tells starvation: an agent that could run, and does not while others do.
#[derive(Clone, Debug)]
pub struct Fairness<N> {
    limit: u64,
    events: u64,
    since: BTreeMap<N, u64>,
    /// The same, the longest waiting first.
    by_age: BTreeSet<(u64, N)>,
}

/// An agent that others pass by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("starvation: {who} has been able to run for {events} events and was not run")]
pub struct Starvation<N: std::fmt::Display> {
    /// Who.
    pub who: N,
    /// For how many events.
    pub events: u64,
}

impl<N: Ord + Copy + std::fmt::Display> Fairness<N> {
    /// Each agent may be passed by in up to `limit` events.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, events: 0, since: BTreeMap::new(), by_age: BTreeSet::new() }
    }

    /// `who` has something to do. If it had already, it has waited since then.
    pub fn runnable(&mut self, who: N) {
        if let Entry::Vacant(entry) = self.since.entry(who) {
            entry.insert(self.events);
            self.by_age.insert((self.events, who));
        }
    }

    /// `who` runs now, or has nothing to do any more. If it has more to do, say so again.
    pub fn settled(&mut self, who: N) {
        if let Some(since) = self.since.remove(&who) {
            self.by_age.remove(&(since, who));
        }
    }

    /// An event has ended.
    ///
    /// # Errors
    /// If someone was passed by for more than the limit: the one that has waited longest.
    pub fn event(&mut self) -> Result<(), Starvation<N>> {
        self.events += 1;
        match self.by_age.first() {
            Some(&(since, who)) if self.events - since > self.limit => {
                Err(Starvation { who, events: self.events - since })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_livelock_is_a_gap_longer_than_the_budget(marks in prop::collection::vec(any::<bool>(), 0..60), budget in 1_u64..8) {
            let mut progress = Progress::new(budget);
            let mut gap = 0;
            for is_mark in marks {
                if gap == budget {
                    prop_assert!(progress.event().is_err());
                    break;
                }
                prop_assert_eq!(progress.event(), Ok(()));
                gap += 1;
                if is_mark {
                    progress.mark();
                    gap = 0;
                }
            }
        }

        #[test]
        fn whoever_waits_longest_is_named_once_it_is_over_the_limit(
            turns in prop::collection::vec((0_usize..4, any::<bool>()), 0..60),
            limit in 0_u64..10,
        ) {
            let mut fairness = Fairness::new(limit);
            let mut waited = [None::<u64>; 4];
            for (who, is_runnable) in turns {
                if is_runnable {
                    fairness.runnable(who);
                    waited[who].get_or_insert(0);
                } else {
                    fairness.settled(who);
                    waited[who] = None;
                }
                waited.iter_mut().flatten().for_each(|events| *events += 1);
                let longest = waited.iter().flatten().max().copied().unwrap_or(0);
                match fairness.event() {
                    Ok(()) => prop_assert!(longest <= limit),
                    Err(starvation) => {
                        prop_assert_eq!(starvation.events, longest);
                        prop_assert_eq!(waited[starvation.who], Some(longest));
                        prop_assert!(longest > limit);
                    }
                }
            }
        }
    }
}
