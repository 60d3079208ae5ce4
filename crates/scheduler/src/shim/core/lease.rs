//! Until when this shim may run anything.

use crate::id::Term;

/// Without a lease a beat is due each second: soon enough for whoever waits for work, and nothing
/// for the machine.
const BEAT_WITHOUT: u64 = 1_000_000_000;

/// Beats in a lease. An outage that begins just before a beat takes one interval from the lease;
/// with 15 it is 2 s of 30.
const BEATS: u64 = 15;

/// The longest time that is kept for killing, of which half is grace. Killing takes some
/// milliseconds; a second and a half is far beyond what a busy machine was seen to need.
const MAX_MARGIN: u64 = 1_500_000_000;

/// A lease, in nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    term: Term,
    granted: Option<Granted>,
    next_beat: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granted {
    end: u64,
    length: u64,
}

/// How a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None was granted in this life.
    None,
    /// It runs.
    Runs,
    /// It is so near its end that all must be killed, with at most so much grace.
    Ends {
        /// Nanoseconds.
        grace: u64,
    },
    /// It is over.
    Over,
}

impl Lease {
    /// How it stands.
    pub fn standing(&self, now: u64) -> Standing {
        match self.granted {
            None => Standing::None,
            Some(granted) if now >= granted.end => Standing::Over,
            Some(granted) if now >= granted.kill_at() => {
                Standing::Ends { grace: granted.margin() / 2 }
            }
            Some(_) => Standing::Runs,
        }
    }

    /// Whether none was granted in this life.
    pub fn is_none(&self) -> bool {
        self.granted.is_none()
    }

    /// It is renewed from `clock` on. A renewal of an earlier term, or that ends no later than the
    /// one that is known, changes nothing.
    pub fn renew(&mut self, clock: u64, length: u64, term: Term) {
        let end = clock.saturating_add(length);
        if term < self.term || self.granted.is_some_and(|granted| granted.end >= end) {
            return;
        }
        self.term = term;
        self.granted = Some(Granted { end, length });
    }

    /// When it is over, if there is one.
    pub fn end(&self) -> Option<u64> {
        self.granted.map(|granted| granted.end)
    }

    /// Another life begins, without one.
    pub fn drop_grant(&mut self) {
        self.granted = None;
        self.next_beat = 0;
    }

    /// Whether a beat is due; if so, it counts as sent.
    pub fn beat(&mut self, now: u64) -> bool {
        let is_due = now >= self.next_beat;
        if is_due {
            let interval = self.granted.map_or(BEAT_WITHOUT, |it| (it.length / BEATS).max(1));
            self.next_beat = now.saturating_add(interval.min(BEAT_WITHOUT * 5));
        }
        is_due
    }

    /// A beat is due at once, as somebody new listens.
    pub fn hurry(&mut self) {
        self.next_beat = 0;
    }

    /// When it is to be looked at next.
    pub fn deadline(&self, now: u64) -> u64 {
        let Some(granted) = self.granted else { return self.next_beat };
        let turn = if now < granted.kill_at() { granted.kill_at() } else { granted.end };
        if now < turn { self.next_beat.min(turn) } else { self.next_beat }
    }
}

impl Granted {
    /// Time that is kept for killing.
    fn margin(&self) -> u64 {
        (self.length / 10).min(MAX_MARGIN)
    }

    fn kill_at(&self) -> u64 {
        self.end - self.margin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn granted(clock: u64, length: u64) -> Lease {
        let mut lease = Lease::default();
        lease.renew(clock, length, Term(1));
        lease
    }

    #[test]
    fn a_lease_counts_from_the_beat_and_not_from_the_renewal() {
        let lease = granted(10 * S, 30 * S);
        assert_eq!(lease.standing(38 * S), Standing::Runs);
        assert_eq!(lease.standing(39 * S), Standing::Ends { grace: 750_000_000 });
        assert_eq!(lease.standing(40 * S), Standing::Over);
    }

    #[test]
    fn what_an_earlier_term_grants_is_ignored() {
        let mut lease = Lease::default();
        lease.renew(0, 10 * S, Term(5));
        lease.renew(5 * S, 10 * S, Term(4));
        assert_eq!(lease.standing(11 * S), Standing::Over);
        lease.renew(5 * S, 10 * S, Term(5));
        assert_eq!(lease.standing(11 * S), Standing::Runs);
    }

    #[test]
    fn an_older_renewal_of_the_same_term_shortens_nothing() {
        let mut lease = granted(10 * S, 30 * S);
        lease.renew(5 * S, 30 * S, Term(1));
        assert_eq!(lease.standing(37 * S), Standing::Runs);
    }

    #[test]
    fn beats_come_many_times_in_a_lease_and_before_the_first() {
        let mut lease = Lease::default();
        assert!(lease.beat(7));
        assert!(!lease.beat(8));
        assert_eq!(lease.deadline(8), 7 + S);
        lease.renew(7, 30 * S, Term(1));
        assert!(lease.beat(7 + S));
        assert_eq!(lease.deadline(8 + S), 7 + 3 * S);
    }

    #[test]
    fn the_end_of_a_lease_is_looked_at_even_between_beats() {
        let mut lease = granted(0, 30 * S);
        lease.beat(28 * S);
        assert_eq!(lease.deadline(28 * S), 28 * S + 500_000_000);
        lease.beat(29 * S);
        assert_eq!(lease.deadline(29 * S), 30 * S);
    }
}
