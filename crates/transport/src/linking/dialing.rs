//! When a mesh dials its peers.

use std::time::Duration;

/// When a mesh dials its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialing {
    /// The shortest delay between attempts; delays are random, from zero up. More than zero.
    /// Default: 50 ms.
    pub backoff_min: Duration,
    /// The longest delay between attempts, and so about the time until a peer that was away is
    /// found again by the one that dials it. Default: 5 s.
    pub backoff_max: Duration,
    /// A link that lived this long forgives earlier failures. Default: 10 s.
    pub stable_after: Duration,
    /// How long the smaller of two nodes waits for the greater one to dial. Longer means fewer
    /// duplicate links when many nodes start at once, shorter a faster start where only the
    /// smaller can reach the greater. Default: 300 ms.
    pub grace: Duration,
    /// An address that has not answered for this long is joined by the next one. Default: 1 s.
    pub next_address: Duration,
    /// Attempts of the whole mesh that may begin within `next_address` and have no answer yet.
    /// Default: 8.
    pub concurrent: usize,
}

impl Default for Dialing {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            stable_after: Duration::from_secs(10),
            grace: Duration::from_millis(300),
            next_address: Duration::from_secs(1),
            concurrent: 8,
        }
    }
}
