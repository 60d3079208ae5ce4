//! Who goes first, by priorities that are drawn and rarely change.
//!
//! Burckhardt, Kothari, Musuvathi and Nagarakatte: "A randomized scheduler with probabilistic
//! guarantees of finding bugs" (ASPLOS 2010). Each link and agent gets a random priority, and the
//! highest goes first; at a few random moments the one that would go falls behind all others. A bug
//! that needs `d` orderings is found in a run with at least the probability 1 / (n k^(d-1)), of n
//! links and agents and k moments: independent draws at every moment find it far more seldom.

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::rng::Rng;
use rustc_hash::FxHashMap;

/// How a run is ordered by priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priorities {
    /// At how many moments somebody falls behind all others: one less than the orderings that the
    /// bug needs.
    pub changes: u32,
    /// How many moments a run has in which there is a choice of who goes first, about: those of
    /// the changes are among them.
    pub moments: u64,
    /// How long something may be made to wait for what is due later.
    pub window: Duration,
}

impl Default for Priorities {
    /// Three changes among the first thousand moments, and waits of a millisecond.
    fn default() -> Self {
        Self { changes: 3, moments: 1000, window: Duration::from_millis(1) }
    }
}

/// The priorities of a run.
#[derive(Debug)]
pub struct Ranks {
    pub(super) rng: Rng,
    /// Only looked up in: it has no order.
    drawn: FxHashMap<u64, u64>,
    changes: BTreeSet<u64>,
    moment: u64,
    /// The next to fall behind gets this.
    lowest: u64,
}

impl Priorities {
    pub(super) fn begin(&self, mut rng: Rng) -> Ranks {
        let changes = (0..self.changes).map(|_| rng.below(self.moments.max(1))).collect();
        Ranks { rng, drawn: FxHashMap::default(), changes, moment: 0, lowest: FIRST }
    }
}

/// Ranks that are drawn are not below this, and those of who fell behind are.
const FIRST: u64 = 1 << 32;

impl Ranks {
    /// The index of who goes first.
    pub(super) fn highest(&mut self, count: u64, who: impl Fn(u64) -> u64) -> u64 {
        let mut first = self.first(count, &who);
        if self.changes.contains(&self.moment) {
            self.lowest -= 1;
            self.drawn.insert(who(first), self.lowest);
            first = self.first(count, &who);
        }
        self.moment += 1;
        first
    }

    fn first(&mut self, count: u64, who: &impl Fn(u64) -> u64) -> u64 {
        let mut rank = |at: u64| {
            let rng = &mut self.rng;
            *self.drawn.entry(who(at)).or_insert_with(|| rng.next_u64().max(FIRST))
        };
        // Of equal ones the first: none passes another without a reason.
        (0..count).max_by_key(|at| (rank(*at), count - at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_first_does_so_until_it_falls_behind_all_others() {
        let priorities = Priorities { changes: 1, moments: 20, ..Priorities::default() };
        for seed in 0..50 {
            let mut ranks = priorities.begin(Rng::new(seed));
            let firsts: Vec<_> = (0..30).map(|_| ranks.highest(4, |at| 100 + at)).collect();
            let changes = firsts.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(changes <= 1, "{firsts:?}");
            let without: Vec<_> = (0..3)
                .map(|_| {
                    ranks.highest(3, |at| {
                        [100, 101, 102, 103]
                            .into_iter()
                            .filter(|who| *who != 100 + firsts[0])
                            .nth(at as usize)
                            .expect("three are left")
                    })
                })
                .collect();
            assert!(
                without.iter().all(|first| *first == without[0]),
                "ranks do not depend on who is there"
            );
        }
    }
}
