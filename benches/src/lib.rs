//! What the micro-benches share: two sessions joined by memory, with no link and no clock.
//!
//! `cargo bench -p dx-benches` runs them. Peers are measured side by side in `benches/peers`.

use std::sync::Arc;

use bytes::Bytes;
use dx_transport::buffer::BufferPool;
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{ClusterId, Incarnation, NodeId, SessionNonce};
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::outbox::Outbox;
use dx_transport::session::{Received, SendQueue, Session, SessionConfig, Timing};
use dx_transport::time::Instant;

/// One end.
struct End {
    session: Session,
    outbox: Outbox,
    consumed: Vec<u64>,
}

/// Two sessions, and what is under way from one to the other.
pub struct Pair {
    ends: [End; 2],
    queue: SendQueue,
    received: Received,
}

/// A HELLO with the default lanes.
#[must_use]
pub fn hello(node: u32) -> Hello {
    let cluster: ClusterId = "bench".parse().expect("it is a cluster name");
    Hello {
        features: 0,
        cluster,
        node: NodeId(node),
        incarnation: Incarnation(1),
        expects: None,
        session: SessionNonce(u64::from(node)),
        lanes: LaneConfig::defaults().iter().map(LaneOffer::of).collect(),
        challenge: [7; 32],
    }
}

impl Default for Pair {
    fn default() -> Self {
        let mut pair = Self {
            ends: [1, 2].map(End::new),
            queue: SendQueue::default(),
            received: Received::default(),
        };
        for (end, peer) in [(0, 2), (1, 1)] {
            let End { session, outbox, .. } = &mut pair.ends[end];
            session.attach(Instant(0), 1, &hello(peer), outbox);
        }
        // Both say where they stand.
        pair.exchange();
        pair
    }
}

impl End {
    fn new(node: u32) -> Self {
        let lanes = LaneConfig::defaults();
        let outbox = Outbox::new(&lanes);
        let consumed = vec![0; lanes.len()];
        let pool = BufferPool::new(16 << 20);
        let config = SessionConfig { lanes, timing: Timing::default(), pool };
        let session = Session::new(Arc::new(config), SessionNonce(u64::from(node)));
        Self { session, outbox, consumed }
    }
}

impl Pair {
    /// The first end sends a copy of `message`.
    ///
    /// # Panics
    /// If the queue is full: the bench sends more than it exchanges.
    pub fn send(&mut self, message: &[u8]) {
        self.ends[0].outbox.push(Lane::DATA, message).expect("the queue has room");
    }

    /// The first end sends `message` by reference.
    ///
    /// # Panics
    /// If the queue is full.
    pub fn send_bytes(&mut self, message: Bytes) {
        self.ends[0].outbox.push_bytes(Lane::DATA, message).expect("the queue has room");
    }

    /// Everything flows, acknowledgements included; returns the bytes of messages that came.
    pub fn exchange(&mut self) -> usize {
        let mut bytes = 0;
        while self.flow(0, &mut bytes) | self.flow(1, &mut bytes) {}
        bytes
    }

    fn flow(&mut self, from: usize, bytes: &mut usize) -> bool {
        let End { session, outbox, .. } = &mut self.ends[from];
        if !session.poll_transmit(Instant(0), 0, outbox, &mut self.queue) {
            return false;
        }
        let to = &mut self.ends[1 - from];
        while !self.queue.is_empty() {
            let queue = &mut self.queue;
            let count = to.session.with_slots(0, |slots| fill(slots, queue)).expect("attached");
            let result = to.session.on_read(Instant(0), 0, count, &mut self.received);
            result.expect("sessions keep to the protocol");
        }
        for batch in self.received.batches.drain(..) {
            *bytes += batch.iter().map(|message| message.len()).sum::<usize>();
            let lane = batch.lane();
            to.consumed[lane.index()] += batch.bytes() as u64;
            to.session.consumed(lane, to.consumed[lane.index()]);
        }
        self.received.signals.clear();
        true
    }
}

/// Copies as much as fits, as a kernel would.
fn fill(slots: &mut [std::io::IoSliceMut<'_>], queue: &mut SendQueue) -> usize {
    let mut total = 0;
    for slot in slots {
        let mut filled = 0;
        while filled < slot.len() && !queue.is_empty() {
            let mut segment = [std::io::IoSlice::new(&[])];
            queue.fill(&mut segment);
            let count = segment[0].len().min(slot.len() - filled);
            slot[filled..filled + count].copy_from_slice(&segment[0][..count]);
            queue.advance(count);
            filled += count;
        }
        total += filled;
    }
    total
}
