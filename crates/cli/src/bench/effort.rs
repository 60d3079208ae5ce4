//! How much of a run a measurement gets.

use std::time::Duration;

/// Time per measurement without `--quick` and `--duration`.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(1);

/// How often each measurement is repeated, in turn with its floor; the median is reported.
pub const ROUNDS: usize = 3;

/// How often and how long to measure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Everything once and briefly.
    pub quick: bool,
    /// Time per measurement, if not the default.
    pub duration: Option<Duration>,
}

impl Effort {
    /// How often to repeat each measurement.
    #[must_use]
    pub fn rounds(self) -> usize {
        if self.quick { 1 } else { ROUNDS }
    }

    /// How long each measurement takes, about: `quick` in a quick run.
    #[must_use]
    pub fn time(self, quick: Duration) -> Duration {
        if self.quick { quick } else { self.duration.unwrap_or(DEFAULT_DURATION) }
    }

    /// The time per measurement, for a report's header.
    #[must_use]
    pub fn describe(self) -> String {
        if self.quick { "quick".to_owned() } else { format!("{:?}", self.time(Duration::ZERO)) }
    }
}
