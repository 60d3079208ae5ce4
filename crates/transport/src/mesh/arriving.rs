//! A peer that says it is about to come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts as one inbound handshake of the peer for as long as it lives. It holds the count alone:
/// whoever waits in a peer's orders must not keep that peer alive.
pub(crate) struct Arriving(Arc<AtomicUsize>);

impl Arriving {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
