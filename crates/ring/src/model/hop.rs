//! What is under way to the successor: no more than a link and its outbox take.

use crate::batch::Batch;
use crate::message::ModelMessage;

/// See the module. Of both ends: what was sent to the successor, and what came from the
/// predecessor.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    most: Count,
    sent: Count,
    got: Count,
    come: Count,
    told: Count,
}

/// Bytes and batches.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    bytes: u64,
    batches: u64,
}

impl Default for Hop {
    /// What is sent beyond a link's buffers is refused, and its outbox takes 1 MiB, and 256
    /// messages: half of that.
    fn default() -> Self {
        Self::new(512 * 1024, 128)
    }
}

impl Hop {
    /// One that has so many bytes and batches under way at most.
    #[must_use]
    pub fn new(bytes: u64, batches: u64) -> Self {
        let none = Count::default();
        Self { most: Count { bytes, batches }, sent: none, got: none, come: none, told: none }
    }

    /// The same for another view.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.most.bytes, self.most.batches)
    }

    /// Whether more may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sent.is_over(self.got, self.most)
    }

    /// A batch is sent.
    pub fn send(&mut self, batch: &Batch) {
        self.sent.add(batch);
    }

    /// The successor tells what has come there.
    pub fn got(&mut self, bytes: u64, batches: u64) {
        self.got = Count { bytes, batches };
    }

    /// A batch has come. Returned is what to tell the predecessor, if it is time.
    pub fn come(&mut self, batch: &Batch) -> Option<ModelMessage> {
        self.come.add(batch);
        let quarter = Count { bytes: self.most.bytes / 4, batches: self.most.batches / 4 };
        let is_due = self.come.is_over(self.told, quarter);
        is_due.then(|| {
            self.told = self.come;
            let Count { bytes, batches } = self.come;
            ModelMessage::Got { bytes, batches }
        })
    }
}

impl Count {
    fn add(&mut self, batch: &Batch) {
        self.bytes += batch.bytes.len() as u64;
        self.batches += 1;
    }

    /// Whether from `earlier` to here it is so much.
    fn is_over(self, earlier: Self, most: Self) -> bool {
        self.bytes.saturating_sub(earlier.bytes) >= most.bytes
            || self.batches.saturating_sub(earlier.batches) >= most.batches
    }
}
