//! What the application receives: messages of one lane that arrived together.

use std::ops::Deref;
use std::slice;

use bytes::Bytes;

use crate::frame;
use crate::id::{Incarnation, NodeId};
use crate::lane::Lane;
use crate::limits::COPY_THRESHOLD;

/// Consecutive messages from one peer on one lane.
///
/// ```no_run
/// # fn handle(_: &[u8]) {}
/// # fn example(batch: dx_transport::Batch) {
/// for message in &batch {
///     handle(&message); // a slice of the receive buffer: nothing was copied
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) peer: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) lane: Lane,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) bytes: usize,
    pub(crate) credit: usize,
    pub(crate) parts: Vec<Part>,
}

/// One frame's body, or one reassembled message.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) body: Bytes,
    /// Whether the body is a sequence of length-prefixed messages that have been checked.
    pub(crate) is_batch: bool,
}

impl Batch {
    /// Who sent the messages.
    #[must_use]
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// The sender's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The lane they came on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The number of the first message in its session and lane, counted from 0.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many messages there are; at least 1.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the messages and, for small ones, of their length prefixes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of credit that the messages hold until they are taken: somewhat more than
    /// [`Self::bytes`].
    #[must_use]
    pub fn credit(&self) -> usize {
        self.credit
    }

    /// The messages, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { parts: self.parts.iter(), current: None }
    }

    /// Appends the batch that follows this one; both must be of one session and lane.
    #[cfg(feature = "mesh")]
    pub(crate) fn append(&mut self, next: Self) {
        debug_assert_eq!((self.lane, self.first + self.count), (next.lane, next.first));
        self.count += next.count;
        self.bytes += next.bytes;
        self.credit += next.credit;
        self.parts.extend(next.parts);
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Message<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over the messages of a [`Batch`].
#[derive(Debug)]
pub struct Iter<'a> {
    parts: slice::Iter<'a, Part>,
    current: Option<(&'a Bytes, &'a [u8])>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Message<'a>> {
        loop {
            if let Some((storage, rest)) = &mut self.current {
                if let Some(bytes) = frame::next_message(rest) {
                    return Some(Message { storage, bytes });
                }
                self.current = None;
            }
            let part = self.parts.next()?;
            if !part.is_batch {
                return Some(Message { storage: &part.body, bytes: &part.body });
            }
            self.current = Some((&part.body, &part.body));
        }
    }
}

/// A received message: a slice of the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    storage: &'a Bytes,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message, for as long as its batch lives.
    #[must_use]
    pub fn as_slice(self) -> &'a [u8] {
        self.bytes
    }

    /// The message on its own. Small ones are copied, so that keeping one does not keep the
    /// whole receive buffer; larger ones share it.
    #[must_use]
    pub fn to_bytes(self) -> Bytes {
        if self.bytes.len() <= COPY_THRESHOLD {
            Bytes::copy_from_slice(self.bytes)
        } else {
            self.storage.slice_ref(self.bytes)
        }
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(parts: Vec<Part>) -> Batch {
        let count = 4;
        let (peer, incarnation) = (NodeId(1), Incarnation(1));
        Batch { peer, incarnation, lane: Lane::DATA, first: 0, count, bytes: 0, credit: 0, parts }
    }

    #[test]
    fn messages_come_in_order_across_parts() {
        let batch = batch(vec![
            Part { body: Bytes::from_static(&[1, b'a', 0]), is_batch: true },
            Part { body: Bytes::from_static(b"whole"), is_batch: false },
            Part { body: Bytes::from_static(&[1, b'z']), is_batch: true },
        ]);
        let messages: Vec<&[u8]> = batch.iter().map(Message::as_slice).collect();
        assert_eq!(messages, [&b"a"[..], b"", b"whole", b"z"]);
    }

    #[test]
    fn a_large_message_shares_the_buffer_and_a_small_one_does_not() {
        let large = Bytes::from(vec![7; COPY_THRESHOLD + 1]);
        let batch = batch(vec![
            Part { body: large.clone(), is_batch: false },
            Part { body: Bytes::from_static(b"small"), is_batch: false },
        ]);
        let kept: Vec<Bytes> = batch.iter().map(Message::to_bytes).collect();
        assert_eq!(kept[0].as_ptr(), large.as_ptr());
        assert_ne!(kept[1].as_ptr(), batch.parts[1].body.as_ptr());
    }
}
