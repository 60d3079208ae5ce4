//! When to ask whether the peer is there, and when to give it up.

use std::time::Duration;

use crate::time::Instant;

/// The times that govern a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A link that has sent nothing for this long sends a PING. Costs two frames each time.
    pub ping_interval: Duration,
    /// A link on which nothing was heard for this long is broken. At least twice
    /// `ping_interval`. Time during which this process did not run does not count.
    pub silence: Duration,
    /// A session without a link for this long ends.
    pub session_ttl: Duration,
    /// An acknowledgement waits at most this long for more to acknowledge.
    pub ack_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            session_ttl: Duration::from_mins(1),
            ack_delay: crate::limits::ACK_DELAY,
        }
    }
}

/// A timer that fires this much too late means that this process did not run.
const STALL: Duration = Duration::from_millis(100);
/// Busy links measure their round trip this many ping intervals apart.
const BUSY_PINGS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Liveness {
    heard: Instant,
    sent: Instant,
    pinged: Instant,
    /// When the driver last asked about an expired deadline.
    looked: Instant,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Self { heard: now, sent: now, pinged: now, looked: now }
    }

    pub(crate) fn on_heard(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(crate) fn on_sent(&mut self, now: Instant) {
        self.sent = now;
    }

    pub(crate) fn on_ping(&mut self, now: Instant) {
        self.pinged = now;
    }

    pub(crate) fn ping_due(&self, timing: &Timing) -> Instant {
        let idle = self.sent + timing.ping_interval;
        let busy = self.pinged + timing.ping_interval * BUSY_PINGS;
        idle.min(busy)
    }

    pub(crate) fn silent_at(&self, timing: &Timing) -> Instant {
        self.heard + timing.silence
    }

    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.since(self.heard)
    }

    /// Discounts the time by which the timer of `deadline` is late, if this process was stalled.
    ///
    /// A deadline stays expired while the link takes no bytes, and with them no PING. Only time
    /// in which nobody looked is time in which the process did not run.
    pub(crate) fn discount(&mut self, deadline: Instant, now: Instant) -> Duration {
        let late = now.since(deadline.max(self.looked));
        self.looked = now;
        if late < STALL {
            return Duration::ZERO;
        }
        self.heard = now.min(self.heard + late);
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::default() + Duration::from_millis(ms)
    }

    #[test]
    fn time_in_which_the_process_did_not_run_is_not_held_against_the_peer() {
        let mut liveness = Liveness::new(at(0));
        assert_eq!(liveness.discount(at(1000), at(6000)), Duration::from_secs(5));
        assert_eq!(liveness.silence(at(6000)), Duration::from_secs(1));
    }

    #[test]
    fn a_deadline_that_stays_expired_on_a_blocked_link_hides_no_silence() {
        let mut liveness = Liveness::new(at(0));
        for ms in (1000..4000).step_by(10) {
            assert_eq!(liveness.discount(at(1000), at(ms)), Duration::ZERO);
        }
        assert_eq!(liveness.silence(at(3990)), Duration::from_millis(3990));
    }
}
