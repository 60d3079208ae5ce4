//! Whether an agent works; if it failed, whether it starts anew, and when.

use std::collections::VecDeque;
use std::time::Duration;

use dx_transport::time::Instant;

use crate::event::Down;
use crate::spec::Restart;

/// The longest wait before a restart, however often the agent failed.
pub const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The failures of one agent that its policy looks at.
#[derive(Debug, Default)]
pub struct Failures(VecDeque<Instant>);

impl Failures {
    /// The agent failed at `now`: the wait before it starts anew; `None` if it stays down.
    pub fn failed(&mut self, policy: &Restart, now: Instant) -> Option<Duration> {
        match *policy {
            Restart::Never => None,
            Restart::Always { backoff } => Some(backoff),
            Restart::OnFailure { max, within, backoff } => {
                while self.0.front().is_some_and(|&first| now.since(first) > within) {
                    self.0.pop_front();
                }
                let failures = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
                if failures >= max {
                    return None;
                }
                self.0.push_back(now);
                let doubled = backoff.saturating_mul(1 << failures.min(16));
                Some(doubled.min(MAX_BACKOFF))
            }
        }
    }
}

/// Whether an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Working,
    /// It failed and starts anew later.
    Restarting,
    /// It has ended, so; only what waits for the journal has still to leave.
    Lingering(Down),
}

impl Condition {
    /// How whoever asked it something hears of it.
    #[must_use]
    pub fn down(self) -> Option<Down> {
        match self {
            Self::Working => None,
            Self::Restarting => Some(Down::Restarted),
            Self::Lingering(why) => Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn an_agent_that_fails_too_often_stays_down() {
        let policy = Restart::OnFailure { max: 2, within: 10 * SECOND, backoff: SECOND };
        let mut failures = Failures::default();
        let waits: Vec<_> = (0..3).map(|s| failures.failed(&policy, at(s))).collect();
        assert_eq!(waits, [Some(SECOND), Some(2 * SECOND), None]);
    }

    #[test]
    fn failures_outside_of_the_window_are_forgotten() {
        let policy = Restart::OnFailure { max: 1, within: 10 * SECOND, backoff: SECOND };
        let mut failures = Failures::default();
        assert_eq!(failures.failed(&policy, at(0)), Some(SECOND));
        assert_eq!(failures.failed(&policy, at(10)), None);
        assert_eq!(failures.failed(&policy, at(11)), Some(SECOND));
    }

    #[test]
    fn policies_without_a_window_always_say_the_same() {
        let mut failures = Failures::default();
        assert_eq!(failures.failed(&Restart::Never, at(0)), None);
        let always = Restart::Always { backoff: SECOND };
        assert!((0..9).all(|s| failures.failed(&always, at(s)) == Some(SECOND)));
    }
}
