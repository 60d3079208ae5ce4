//! Whether a run gets anywhere: livelock and starvation, told by counting events.

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
///
/// It counts in rounds. A pick among `n` that are ready is a part of 1/n of a round, so that each
/// is to be expected once in a round, however many there are: by fair chance one is passed by for
/// a thousand rounds in one of e^1000 cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fairness {
    /// In parts of [`ROUND`].
    passed: u64,
}

/// A round, in the parts that are counted.
const ROUND: u64 = 1 << 20;

/// An agent that others pass by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("starvation: {who} has been ready for {rounds} rounds of picks and never was the one")]
pub struct Starvation<N: std::fmt::Display> {
    /// Who.
    pub who: N,
    /// For how many rounds.
    pub rounds: u64,
}

impl Fairness {
    /// Now, to be remembered of who becomes ready.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        self.passed
    }

    /// One of so many is picked. True when a round is over: time to look at the others.
    #[inline]
    pub fn pick(&mut self, among: u64) -> bool {
        let before = self.passed / ROUND;
        // Of very many each pick still counts.
        self.passed += (ROUND / among.max(1)).max(1);
        self.passed / ROUND > before
    }

    /// For how many rounds one that is ready `since` then was passed by.
    #[must_use]
    #[inline]
    pub fn rounds(&self, since: u64) -> u64 {
        self.passed.saturating_sub(since) / ROUND
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
        fn whoever_is_never_picked_is_passed_by_in_every_round(
            others in 1_u64..50, picks in 0_u64..2000
        ) {
            let mut fairness = Fairness::default();
            let since = fairness.now();
            let over = (0..picks).filter(|_| fairness.pick(others + 1)).count() as u64;
            prop_assert_eq!(over, fairness.rounds(since));
            let rounds = picks / (others + 1);
            prop_assert!(rounds.saturating_sub(1) <= over && over <= rounds);
        }
    }

    #[test]
    fn whoever_became_ready_later_was_passed_by_for_less() {
        let mut fairness = Fairness::default();
        let early = fairness.now();
        (0..10).for_each(|_| _ = fairness.pick(2));
        let late = fairness.now();
        (0..10).for_each(|_| _ = fairness.pick(2));
        assert_eq!([early, late].map(|since| fairness.rounds(since)), [10, 5]);
    }
}
