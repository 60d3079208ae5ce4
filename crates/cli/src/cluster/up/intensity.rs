//! How soon a node that failed is started again, and when no more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The failures of a node that count.
#[derive(Debug, Default)]
pub struct Intensity(VecDeque<Instant>);

/// Failures within [`WINDOW`] after which a node stays down. A guess: more than one accident, and
/// fewer than anybody would look at.
pub const MAX_FAILURES: usize = 5;

/// Failures that are older are forgiven.
pub const WINDOW: Duration = Duration::from_mins(1);

/// The wait before the first restart; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(100);

impl Intensity {
    /// Notes a failure at `now`. Returns how long to wait; `None`: it has failed too often.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            self.0.pop_front();
        }
        let wait = BACKOFF * (1 << self.0.len());
        self.0.push_back(now);
        (self.0.len() <= MAX_FAILURES).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_and_the_sixth_in_a_minute_is_the_last() {
        let (mut intensity, now) = (Intensity::default(), Instant::now());
        let waits: Vec<_> = (0..6).map(|_| intensity.failed(now)).collect();
        let millis = |wait: &Option<Duration>| wait.map(|wait| wait.as_millis());
        let waits: Vec<_> = waits.iter().map(millis).collect();
        assert_eq!(waits, [Some(100), Some(200), Some(400), Some(800), Some(1600), None]);
    }

    #[test]
    fn what_is_long_ago_is_forgiven() {
        let (mut intensity, mut now) = (Intensity::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(intensity.failed(now), Some(BACKOFF));
            now += WINDOW + Duration::from_secs(1);
        }
    }
}
