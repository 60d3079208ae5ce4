//! When to dial again: full jitter, so that nodes which lost each other together do not come back
//! together.

use std::time::Duration;

/// How the last link or attempt ended, as far as dialing again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The link carried frames, and broke.
    Broke,
    /// No link came up, or nothing good came of it.
    Failed,
}

/// Delays between attempts, growing from `min` to `max` while they fail.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// The time to wait after `outcome`; `random` is uniform in `0.0..1.0`.
    ///
    /// A link that was of use is dialed again within `min`, however often it breaks: a session
    /// under way must not wait for a backoff that earlier failures earned.
    pub(crate) fn after(&mut self, outcome: Outcome, random: f64) -> Duration {
        match outcome {
            Outcome::Broke => self.min.mul_f64(random),
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.ceiling().mul_f64(random)
            }
        }
    }

    /// Starts over, because the circumstances changed: new addresses, or a stable link.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        let doublings = self.failures.min(31);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn failures_double_the_ceiling_up_to_the_maximum() {
        let mut backoff = Backoff::new(MIN, MAX);
        let delays: Vec<u128> =
            (0..9).map(|_| backoff.after(Outcome::Failed, 1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }

    #[test]
    fn jitter_reaches_down_to_zero() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!(backoff.after(Outcome::Failed, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_stable_link_forgives_earlier_failures() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..40 {
            let _ = backoff.after(Outcome::Failed, 1.0);
        }
        backoff.reset();
        assert_eq!(backoff.after(Outcome::Failed, 1.0), MIN * 2);
    }

    #[test]
    fn a_link_that_carried_frames_is_dialed_again_within_the_minimum() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..9 {
            let _ = backoff.after(Outcome::Failed, 1.0);
        }
        assert_eq!(backoff.after(Outcome::Broke, 1.0), MIN);
    }
}
