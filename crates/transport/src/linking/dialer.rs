//! When to dial which address: pure, so that its rules can be tested.
//!
//! A *round* tries every address of the peer once, one after the other. An address that does not
//! answer within [`Dialing::next_address`] does not hold up the next one.

use std::time::Duration;

use crate::linking::arbiter::DialedBy;
use crate::linking::backoff::Backoff;
use crate::linking::dialing::Dialing;
use crate::time::Instant;

/// How a link ended, as far as dialing again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It carried frames, and broke.
    Broke,
    /// The peer has another one in its place, which should be here soon.
    Replaced,
    /// Nothing good came of it: it fell silent, or one side closed it.
    Failed,
}

/// The dialing side of one peer.
#[derive(Debug)]
pub struct Dialer {
    config: Dialing,
    backoff: Backoff,
    /// The greater node dials at once; the smaller gives it time to.
    yields: bool,
    /// But not after a link that this node dialed: the peer may not be able to.
    dialed_last: bool,
    addresses: usize,
    /// The address to try next.
    next: usize,
    /// Addresses that this round has not tried yet.
    untried: usize,
    /// Attempts of this round that have not ended yet.
    pending: usize,
    /// Attempts of this round that the peer's host refused.
    refused: usize,
    due: Option<Instant>,
}

impl Dialer {
    /// `yields` for the smaller of the two nodes.
    #[must_use]
    pub fn new(config: Dialing, yields: bool) -> Self {
        let backoff = Backoff::new(config.backoff_min, config.backoff_max);
        Self {
            config,
            backoff,
            yields,
            dialed_last: false,
            addresses: 0,
            next: 0,
            untried: 0,
            pending: 0,
            refused: 0,
            due: None,
        }
    }

    /// The peer now has this many addresses: starts over with the first of them.
    pub fn readdress(&mut self, now: Instant, addresses: usize, random: f64) {
        self.addresses = addresses;
        self.next = 0;
        self.backoff.reset();
        self.begin_round(now + self.grace(random));
    }

    /// Whether nothing is being tried, nor will be.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.due.is_none() && self.pending == 0
    }

    /// When [`Self::start`] has something to do, if no link comes up before.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the peer is the one that should dial.
    #[must_use]
    pub fn yields(&self) -> bool {
        self.yields && !self.dialed_last
    }

    /// Gives the peer some more time.
    pub fn postpone(&mut self, now: Instant, random: f64) {
        let until = now + self.patience(random);
        self.due = self.due.map(|due| due.max(until));
    }

    /// The address to dial now, if one is due.
    pub fn start(&mut self, now: Instant) -> Option<usize> {
        if self.due.is_none_or(|due| due > now) || self.untried == 0 {
            return None;
        }
        let address = self.next;
        self.next = (self.next + 1) % self.addresses;
        self.untried -= 1;
        self.pending += 1;
        self.due = (self.untried > 0).then(|| now + self.config.next_address);
        Some(address)
    }

    /// An attempt failed; `is_refusal` if nobody listens there. Returns whether that was the last
    /// word of a round in which every address refused: then the peer is not running.
    pub fn failed(&mut self, now: Instant, is_refusal: bool, random: f64) -> bool {
        self.pending = self.pending.saturating_sub(1);
        self.refused += usize::from(is_refusal);
        if self.untried > 0 {
            self.due = Some(now);
            return false;
        }
        if self.pending > 0 {
            return false;
        }
        let is_down = self.refused >= self.addresses;
        let delay = self.backoff.after_failure(random);
        self.begin_round(now + delay);
        is_down
    }

    /// A link that was dialed is not needed: another one is up.
    pub fn discarded(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// What was being tried is no longer wanted, as it spoke of a session that is over: tries again,
    /// unless a delay after failures is under way.
    pub fn restart(&mut self, now: Instant) {
        if self.pending > 0 {
            self.begin_round(now);
        }
    }

    /// The peer says that it keeps another link. That one should be here soon; if it is not, the
    /// peer has not noticed yet that it is broken.
    pub fn lost_tie(&mut self, now: Instant, random: f64) {
        self.begin_round(now + self.patience(random));
    }

    /// A link is up, dialed by `dialer`: nothing to dial.
    pub fn attached(&mut self, dialer: DialedBy) {
        self.dialed_last = dialer == DialedBy::Us;
        self.rest();
    }

    /// Dials nothing more, since there is a link.
    pub fn rest(&mut self) {
        self.pending = 0;
        self.untried = 0;
        self.due = None;
    }

    /// The link is gone, after it lived for `age`; returns the delay that it earned. A round that
    /// was begun because the link was quiet goes on.
    pub fn detached(
        &mut self,
        now: Instant,
        age: Duration,
        outcome: Outcome,
        random: f64,
    ) -> Duration {
        if age >= self.config.stable_after {
            self.backoff.reset();
        }
        let delay = match outcome {
            Outcome::Broke => self.backoff.after_break(age, random),
            Outcome::Replaced => self.patience(random),
            Outcome::Failed => self.backoff.after_failure(random),
        };
        if self.pending == 0 {
            self.begin_round(now + delay.max(self.grace(random)));
        }
        delay
    }

    /// The link is suspiciously quiet: looks for another way beside it.
    pub fn probe(&mut self, now: Instant) {
        if self.is_idle() {
            self.begin_round(now);
        }
    }

    /// There is no time for a delay after failures.
    pub fn hurry(&mut self, now: Instant) {
        self.due = self.due.map(|due| due.min(now));
    }

    fn begin_round(&mut self, at: Instant) {
        self.untried = self.addresses;
        self.pending = 0;
        self.refused = 0;
        self.due = (self.addresses > 0).then_some(at);
    }

    fn grace(&self, random: f64) -> Duration {
        if self.yields() { self.patience(random) } else { Duration::ZERO }
    }

    /// How long to wait for what the peer does.
    fn patience(&self, random: f64) -> Duration {
        self.config.grace.mul_f64(0.5 + random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(0);
    const GRACE: Duration = Duration::from_millis(300);

    fn after(ms: u64) -> Instant {
        START + Duration::from_millis(ms)
    }

    fn dialer(yields: bool, addresses: usize) -> Dialer {
        let mut dialer = Dialer::new(Dialing::default(), yields);
        dialer.readdress(START, addresses, 1.0);
        dialer
    }

    #[test]
    fn the_greater_node_dials_at_once_and_the_smaller_after_its_grace() {
        assert_eq!(dialer(false, 1).start(START), Some(0));
        let mut smaller = dialer(true, 1);
        assert_eq!(smaller.start(START), None);
        assert_eq!(smaller.start(after(300)), Some(0));
    }

    #[test]
    fn the_smaller_node_dials_at_once_after_a_link_that_it_dialed() {
        for (who, delay_ms) in [(DialedBy::Us, 0), (DialedBy::Peer, 300)] {
            let mut smaller = dialer(true, 1);
            smaller.attached(who);
            let _ = smaller.detached(START, Duration::from_secs(1), Outcome::Broke, 1.0);
            assert_eq!(smaller.due(), Some(after(delay_ms)));
        }
    }

    #[test]
    fn a_peer_without_address_is_never_dialed() {
        let mut dialer = dialer(false, 0);
        assert_eq!(dialer.due(), None);
        let _ = dialer.detached(START, Duration::ZERO, Outcome::Broke, 0.0);
        assert_eq!(dialer.start(after(100_000)), None);
    }

    #[test]
    fn a_silent_address_does_not_hold_up_the_next() {
        let mut dialer = dialer(false, 2);
        assert_eq!(dialer.start(START), Some(0));
        assert_eq!(dialer.start(after(999)), None);
        assert_eq!(dialer.start(after(1000)), Some(1));
        assert_eq!(dialer.due(), None, "every address is being tried");
    }

    #[test]
    fn a_failed_address_is_followed_by_the_next_at_once_and_a_failed_round_by_backoff() {
        let mut dialer = dialer(false, 2);
        assert_eq!(dialer.start(START), Some(0));
        assert!(!dialer.failed(after(1), true, 1.0));
        assert_eq!(dialer.start(after(1)), Some(1));
        assert!(!dialer.failed(after(2), false, 1.0));
        assert_eq!(dialer.start(after(2)), None);
        assert_eq!(dialer.due(), Some(after(102)));
    }

    #[test]
    fn only_a_round_in_which_all_refuse_means_down() {
        let mut dialer = dialer(false, 2);
        for (ms, is_last) in [(0, false), (0, true)] {
            assert!(dialer.start(after(ms)).is_some());
            assert_eq!(dialer.failed(after(ms), true, 0.0), is_last);
        }
    }

    #[test]
    fn only_a_stable_link_forgives_earlier_failures() {
        for (age, delay) in [(9, 400), (10, 100)] {
            let mut dialer = dialer(false, 1);
            for _ in 0..2 {
                let due = dialer.due().unwrap();
                assert_eq!(dialer.start(due), Some(0));
                dialer.failed(due, true, 1.0);
            }
            dialer.attached(DialedBy::Us);
            let delay = Duration::from_millis(delay);
            let age = Duration::from_secs(age);
            assert_eq!(dialer.detached(START, age, Outcome::Failed, 1.0), delay);
        }
    }

    #[test]
    fn a_replaced_link_is_not_dialed_again_before_the_other_one_had_time_to_come() {
        let mut dialer = dialer(false, 1);
        dialer.attached(DialedBy::Us);
        assert_eq!(dialer.detached(START, Duration::from_secs(1), Outcome::Replaced, 1.0), GRACE);
        assert_eq!(dialer.due(), Some(START + GRACE));
    }

    #[test]
    fn losing_the_tie_costs_no_backoff() {
        let mut dialer = dialer(false, 1);
        assert_eq!(dialer.start(START), Some(0));
        dialer.lost_tie(START, 1.0);
        assert_eq!(dialer.due(), Some(after(300)));
        dialer.attached(DialedBy::Us);
        assert_eq!(dialer.due(), None);
    }

    #[test]
    fn attempts_for_a_session_that_is_over_are_made_anew_and_a_delay_goes_on() {
        let mut dialer = dialer(false, 1);
        assert_eq!(dialer.start(START), Some(0));
        dialer.restart(after(7));
        assert_eq!(dialer.start(after(7)), Some(0));
        dialer.failed(after(7), true, 1.0);
        dialer.restart(after(8));
        assert_eq!(dialer.due(), Some(after(107)));
    }

    #[test]
    fn in_a_hurry_no_delay_is_kept_and_none_is_added() {
        let mut dialer = dialer(false, 1);
        assert_eq!(dialer.start(START), Some(0));
        dialer.hurry(START);
        assert_eq!(dialer.due(), None, "the only address is being tried");
        dialer.failed(START, true, 1.0);
        dialer.hurry(after(1));
        assert_eq!(dialer.start(after(1)), Some(0));
    }

    #[test]
    fn a_quiet_link_is_probed_over_the_next_address_once() {
        let mut dialer = dialer(false, 2);
        assert_eq!(dialer.start(START), Some(0));
        dialer.attached(DialedBy::Us);
        dialer.probe(after(1500));
        assert_eq!(dialer.start(after(1500)), Some(1));
        dialer.probe(after(1500));
        assert_eq!(dialer.start(after(1500)), None);
    }
}
