//! What loads a ring: a replica that broadcasts, and checks what it delivers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use dx_ring::{Delivery, Replica, Ring, View};

use super::ledger::Ledger;

/// How a member loads the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Not at all.
    None,
    /// With as many messages of so many bytes as the ring takes.
    Full(usize),
    /// With messages of so many bytes, one each time.
    Every(Duration, usize),
}

/// The head of a message: its number, and when it was sent or 0.
pub const HEAD: usize = 16;

/// See the module.
pub struct Source {
    load: Load,
    ledger: Arc<Ledger>,
    sent: u64,
    /// The number of the last message of each origin.
    seen: Vec<u64>,
    filler: Bytes,
    has_begun: bool,
}

/// When the next message is due.
const NEXT: u32 = 1;

impl Source {
    /// One of a ring of so many members.
    pub fn new(load: Load, ledger: Arc<Ledger>, members: usize) -> Self {
        let size = match load {
            Load::None => 0,
            Load::Full(size) | Load::Every(_, size) => size,
        };
        let filler = vec![0x5a; size.saturating_sub(HEAD)].into();
        Self { load, ledger, sent: 0, seen: vec![0; members], filler, has_begun: false }
    }

    fn message(&self, sent_at: u64) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD + self.filler.len());
        bytes.put_u64_le(self.sent + 1);
        bytes.put_u64_le(sent_at);
        bytes.extend_from_slice(&self.filler);
        bytes.freeze()
    }

    fn fill(&mut self, ring: &mut Ring<'_>) {
        while matches!(self.load, Load::Full(_)) && !self.ledger.has_stopped() {
            if ring.broadcast(self.message(0)).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    /// The number of a message and the time of its sending.
    fn open(payload: &[u8]) -> Option<(u64, u64)> {
        let (number, rest) = payload.split_first_chunk()?;
        let (at, _) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*number), u64::from_le_bytes(*at)))
    }
}

impl Replica for Source {
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>) {
        let (me, from) = (ring.me().0 as usize - 1, delivery.origin.0 as usize - 1);
        let Some((number, at)) = Self::open(&delivery.payload) else {
            return self.ledger.accuse(format!("member {me} delivered what nobody sent"));
        };
        if number != self.seen[from] + 1 {
            let last = self.seen[from];
            self.ledger.accuse(format!("member {me} delivered {number} of {from} after {last}"));
        }
        self.seen[from] = number;
        self.ledger.delivered(me, from);
        if at > 0 {
            self.ledger.timed(from == me, delivery.index, at);
        }
    }

    fn snapshot(&self) -> Bytes {
        Bytes::new()
    }

    fn restore(&mut self, _: Bytes, _: Option<&View>, _: &mut Ring<'_>) {
        self.ledger.accuse("a member lost its place, and took another's state".to_owned());
    }

    fn view(&mut self, _: u64, _: &View, ring: &mut Ring<'_>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return self.ledger.accuse("a member was suspected, and the view changed".to_owned());
        }
        self.fill(ring);
        if let Load::Every(pause, _) = self.load {
            ring.set_timer(NEXT, pause);
        }
    }

    fn timer(&mut self, _: u32, ring: &mut Ring<'_>) {
        let Load::Every(pause, _) = self.load else { return };
        if !self.ledger.has_stopped() {
            ring.set_timer(NEXT, pause);
            // What finds no room at this rate is no latency.
            if ring.broadcast(self.message(self.ledger.now().max(1))).is_ok() {
                self.sent += 1;
            }
        }
    }

    fn room(&mut self, ring: &mut Ring<'_>) {
        self.fill(ring);
    }
}
