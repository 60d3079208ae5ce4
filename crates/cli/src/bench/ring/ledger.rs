//! What the members of a ring under load write down, all in one place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::bench::latency::Distribution;

/// Counters of all members, and latencies.
pub struct Ledger {
    begun: Instant,
    members: usize,
    /// Messages delivered by each member.
    delivered: Vec<AtomicU64>,
    /// Those of each origin, as the first member delivers them.
    origins: Vec<AtomicU64>,
    has_stopped: AtomicBool,
    times: Mutex<Times>,
    /// The hash of what each member delivered, and after how many.
    wrong: Mutex<Option<String>>,
}

/// Latencies of messages that carry the time of their sending.
#[derive(Default)]
struct Times {
    own: Distribution,
    last: Distribution,
    /// Members that have delivered a message, of those that not all have.
    seen: BTreeMap<u64, usize>,
}

/// What was counted up to a moment.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The moment.
    pub at: Instant,
    /// Messages delivered by the member that is least far.
    pub messages: u64,
    /// Those of each origin.
    pub origins: Vec<u64>,
}

impl Ledger {
    /// That of so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        let zeroes = || (0..members).map(|_| AtomicU64::new(0)).collect();
        Self {
            begun: Instant::now(),
            members,
            delivered: zeroes(),
            origins: zeroes(),
            has_stopped: AtomicBool::new(false),
            times: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// The time, in nanoseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A member has delivered a message of an origin; both count from 0.
    pub fn delivered(&self, member: usize, origin: usize) {
        self.delivered[member].fetch_add(1, Ordering::Relaxed);
        if member == 0 {
            self.origins[origin].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same of a message whose latency counts: its place, and when it was sent.
    pub fn timed(&self, is_own: bool, index: u64, sent: u64) {
        let took = self.now().saturating_sub(sent);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if is_own {
            times.own.record(took);
        }
        let seen = times.seen.entry(index).or_default();
        *seen += 1;
        if *seen == self.members {
            times.seen.remove(&index);
            times.last.record(took);
        }
    }

    /// Latencies to the delivery at the sender, and to the last one.
    #[must_use]
    pub fn latencies(&self) -> (Distribution, Distribution) {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        (times.own.clone(), times.last.clone())
    }

    /// What was counted so far.
    #[must_use]
    pub fn count(&self) -> Counted {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            at: Instant::now(),
            messages: self.delivered.iter().map(load).min().unwrap_or_default(),
            origins: self.origins.iter().map(load).collect(),
        }
    }

    /// Nobody sends any more.
    pub fn stop(&self) {
        self.has_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether nobody is to send any more.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }

    /// Something was delivered that nobody sent, or out of its place.
    pub fn accuse(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    /// What was wrong, if anything was.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
