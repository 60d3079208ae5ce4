//! When to dial again: full jitter, so that nodes which lost each other together do not come back
//! together.

use std::time::Duration;

/// Delays between attempts, growing from `min` to `max` while they fail.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// The time to wait after an attempt failed; `random` is uniform in `0.0..1.0`.
    pub fn after_failure(&mut self, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.ceiling().mul_f64(random)
    }

    /// The time to wait after a link broke that had carried frames for `age`: none, but links are
    /// not made more often than every `min`. A session under way must not wait for what earlier
    /// failures earned.
    pub fn after_break(&self, age: Duration, random: f64) -> Duration {
        if age >= self.min { Duration::ZERO } else { self.min.mul_f64(random) }
    }

    /// Starts over, because the circumstances changed: new addresses, or a link that was stable.
    pub fn reset(&mut self) {
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
        let delays: Vec<u128> = (0..9).map(|_| backoff.after_failure(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }

    #[test]
    fn jitter_reaches_down_to_zero() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!(backoff.after_failure(0.0), Duration::ZERO);
    }

    #[test]
    fn starting_over_forgives_earlier_failures() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..40 {
            let _ = backoff.after_failure(1.0);
        }
        backoff.reset();
        assert_eq!(backoff.after_failure(1.0), MIN * 2);
    }

    #[test]
    fn a_link_that_was_of_use_is_dialed_again_at_once_but_not_too_often() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..9 {
            let _ = backoff.after_failure(1.0);
        }
        assert_eq!(backoff.after_break(MIN, 1.0), Duration::ZERO);
        assert_eq!(backoff.after_break(Duration::ZERO, 1.0), MIN);
    }
}
