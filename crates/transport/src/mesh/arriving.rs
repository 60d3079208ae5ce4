//! A peer that says it is about to come in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::mesh::peer::PeerShared;

/// Counts as one inbound handshake of the peer for as long as it lives.
pub(crate) struct Arriving(Arc<PeerShared>);

impl Arriving {
    pub(crate) fn new(peer: Arc<PeerShared>) -> Self {
        peer.arriving.fetch_add(1, Ordering::AcqRel);
        Self(peer)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.arriving.fetch_sub(1, Ordering::AcqRel);
    }
}
