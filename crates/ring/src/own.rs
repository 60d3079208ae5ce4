//! A member's own messages: those that wait, and the batches that not all hold yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use dx_agents::AgentId;

use crate::batch::{Batch, BatchId, Cuts, MAX_BATCH};
use crate::view::Life;

/// The longest message, in bytes.
pub const MAX_PAYLOAD: usize = 8 << 20;
/// Messages that may wait for their turn; a guess: a few batches of the smallest ones.
pub const MAX_WAITING: usize = 16 * 1024;
/// Their bytes. One message may always wait, however large.
pub const MAX_WAITING_BYTES: usize = 4 << 20;

/// A message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastError {
    /// Too many wait already. It is told when there is room.
    #[error("{messages} messages of {bytes} bytes wait already: try again when there is room")]
    Full {
        /// Messages that wait.
        messages: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// It is too long.
    #[error("the message has {len} bytes, the limit is {MAX_PAYLOAD}: divide it")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Own {
    id: AgentId,
    life: Life,
    made: u64,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    flying: VecDeque<Batch>,
    flying_bytes: usize,
    window: usize,
    configured: usize,
    /// Somebody was refused, and wants to hear of room.
    wants_room: bool,
}

impl Own {
    /// Those of a member of a ring of `configured` members, whose windows are `window` bytes
    /// together.
    #[must_use]
    pub fn new(id: AgentId, life: Life, configured: usize, window: usize) -> Self {
        Self {
            id,
            life,
            made: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            flying: VecDeque::new(),
            flying_bytes: 0,
            window,
            configured,
            wants_room: false,
        }
    }

    /// A message waits for its turn.
    ///
    /// # Errors
    /// If it is too long, or too many wait.
    pub fn push(&mut self, payload: Bytes) -> Result<(), BroadcastError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(BroadcastError::TooLong { len: payload.len() });
        }
        let (messages, bytes) = (self.waiting.len(), self.waiting_bytes);
        let has_room = messages < MAX_WAITING && bytes + payload.len() <= MAX_WAITING_BYTES;
        if !has_room && messages > 0 {
            self.wants_room = true;
            return Err(BroadcastError::Full { messages, bytes });
        }
        self.waiting_bytes += payload.len();
        self.waiting.push_back(payload);
        Ok(())
    }

    /// Whether there is room again for somebody who was refused; said once.
    pub fn has_room(&mut self) -> bool {
        let is_half =
            self.waiting.len() <= MAX_WAITING / 2 && self.waiting_bytes <= MAX_WAITING_BYTES / 2;
        is_half && std::mem::take(&mut self.wants_room)
    }

    /// Batches that not all hold yet, in order.
    pub fn flying(&self) -> impl Iterator<Item = &Batch> {
        self.flying.iter()
    }

    /// The next batch, if something waits and the window allows it: a fair share for one of
    /// `active` origins. Another that begins finds their windows open still, by what one link has
    /// under way: then they know of it.
    pub fn cut(&mut self, active: usize) -> Option<Batch> {
        let active = active.max(1);
        let window = self.window / active;
        let is_open =
            self.flying_bytes < window && self.flying.len() < (MAX_FLYING / active).max(4);
        if self.waiting.is_empty() || !(is_open || self.flying.is_empty()) {
            return None;
        }
        // Some two for each hop that no other origin keeps busy.
        let batch = window / (2 * self.configured / active + 2);
        Some(self.make(batch.clamp(MIN_BATCH, MAX_BATCH), usize::MAX))
    }

    /// The next batch, of so many messages at most, and else the same whatever others do: if
    /// something waits and a window of this share allows it.
    pub fn cut_of(&mut self, messages: usize) -> Option<Batch> {
        let window = self.window / self.configured;
        let is_open = self.flying_bytes < window && self.flying.len() < MAX_FLYING;
        if self.waiting.is_empty() || !(is_open || self.flying.is_empty()) {
            return None;
        }
        Some(self.make(MAX_BATCH, messages))
    }

    /// Whether a message waits.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn make(&mut self, limit: usize, messages: usize) -> Batch {
        let (cuts, bytes) = self.fill(limit, messages);
        self.made += 1;
        let id = BatchId { origin: self.id, life: self.life, sn: self.made };
        let batch = Batch { id, cuts, bytes };
        self.flying_bytes += batch.bytes.len();
        self.flying.push_back(batch.clone());
        batch
    }

    /// Batches up to this one are held by all, or by enough.
    pub fn settled(&mut self, sn: u64) {
        while let Some(batch) = self.flying.pop_front_if(|batch| batch.id.sn <= sn) {
            self.flying_bytes -= batch.bytes.len();
        }
    }

    fn fill(&mut self, limit: usize, messages: usize) -> (Cuts, Bytes) {
        let mut cuts = Cuts::default();
        let mut bytes = BytesMut::new();
        while let Some(first) = self.waiting.front_mut() {
            let room = limit - bytes.len();
            if first.len() <= room {
                // One that fills a batch alone is not copied.
                let whole = self.waiting.pop_front().expect("it is the first");
                self.waiting_bytes -= whole.len();
                cuts.lens.push(whole.len() as u32);
                if bytes.is_empty() && (whole.len() == room || self.waiting.is_empty()) {
                    return (cuts, whole);
                }
                bytes.extend_from_slice(&whole);
                if bytes.len() == limit || cuts.lens.len() == messages {
                    break;
                }
                continue;
            }
            if bytes.is_empty() {
                let piece = first.split_to(room);
                self.waiting_bytes -= room;
                cuts.lens.push(room as u32);
                cuts.goes_on = true;
                return (cuts, piece);
            }
            break;
        }
        (cuts, bytes.freeze())
    }
}

/// The shortest full batch, in bytes.
const MIN_BATCH: usize = 1024;
/// Batches of all origins together that may be under way.
const MAX_FLYING: usize = 4096;
