//! The driver's clock: the one place where the mesh reads the time.

use std::time::Duration;

use crate::time::Instant;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::default() + self.0.elapsed()
    }

    /// `at` as the runtime's timers understand it.
    pub(crate) fn to_tokio(self, at: Instant) -> tokio::time::Instant {
        self.0 + Duration::from_nanos(at.0)
    }
}
