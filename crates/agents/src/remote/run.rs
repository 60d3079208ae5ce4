//! Several messages to one agent, as frames one after the other.

use crate::lane::Lane;
use crate::message::Body;
use crate::remote::parcel;
use crate::remote::wire::Head;

/// Messages that are encoded at once, at most.
const MAX_MESSAGES: usize = 64;

/// Bytes after which no further message is encoded, and memory that is kept.
const MAX_BYTES: usize = 64 * 1024;

/// Frames of one lane, in memory that is used again.
pub struct Run {
    /// Their lane.
    pub lane: Lane,
    bytes: Vec<u8>,
    /// Where each ends, and what it costs.
    ends: Vec<(usize, u64)>,
}

impl Run {
    /// Without frames.
    pub const fn new() -> Self {
        Self { lane: Lane::Normal, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Takes in the first of `messages`, as far as they are of one lane and can be encoded. How many
    /// those are.
    pub fn fill<'a>(&mut self, head: Head, messages: impl Iterator<Item = &'a Body>) -> usize {
        self.clear();
        for body in messages.take(MAX_MESSAGES) {
            if self.ends.is_empty() {
                self.lane = body.lane();
            }
            if body.lane() != self.lane || self.bytes.len() > MAX_BYTES {
                break;
            }
            match parcel::write(head, body, &mut self.bytes) {
                Ok(cost) => self.ends.push((self.bytes.len(), cost)),
                // Whoever sends it alone says so.
                Err(_) => break,
            }
        }
        self.ends.len()
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).map(|(start, (end, _))| &self.bytes[start..*end])
    }

    /// What each takes of its receiver's mailbox.
    pub fn costs(&self) -> impl Iterator<Item = u64> {
        self.ends.iter().map(|(_, cost)| *cost)
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        self.bytes.shrink_to(MAX_BYTES);
    }
}
