//! Bytes on their way to a link: segments by reference, never copied together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// What a link still has to write on one channel.
#[derive(Debug, Default)]
pub struct SendQueue {
    segments: VecDeque<Bytes>,
    bytes: usize,
}

impl SendQueue {
    /// Appends a segment.
    pub fn push(&mut self, segment: Bytes) {
        self.bytes += segment.len();
        if !segment.is_empty() {
            self.segments.push_back(segment);
        }
    }

    /// Takes `count` written bytes off the front.
    ///
    /// # Panics
    /// If more was written than there is: a bug of the link.
    pub fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "the link wrote more than it was given");
        self.bytes -= count;
        while count > 0 {
            let front = &mut self.segments[0];
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.segments.pop_front();
        }
    }

    /// Fills `slices` from the front, for a vectored write; returns how many it filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = self.segments.len().min(slices.len());
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment);
        }
        filled
    }

    /// Lets `write` consume segments from the front, for transports that take `Bytes` by
    /// reference. It may empty or shorten them; what is left stays queued. Returns how many bytes
    /// were consumed beside what `write` returns.
    pub fn consume<R>(&mut self, write: impl FnOnce(&mut [Bytes]) -> R) -> (usize, R) {
        let before = self.bytes;
        let result = write(self.segments.make_contiguous());
        while self.segments.front().is_some_and(Bytes::is_empty) {
            self.segments.pop_front();
        }
        self.bytes = self.segments.iter().map(Bytes::len).sum();
        (before - self.bytes, result)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.bytes = 0;
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Segments that are left.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_may_stop_within_a_segment() {
        let mut queue = SendQueue::default();
        queue.push(Bytes::from_static(b"abc"));
        queue.push(Bytes::from_static(b"def"));
        queue.advance(4);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(queue.fill(&mut slices), 1);
        assert_eq!(&*slices[0], b"ef");
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn consuming_counts_what_the_writer_took() {
        let mut queue = SendQueue::default();
        queue.push(Bytes::from_static(b"abc"));
        queue.push(Bytes::from_static(b"def"));
        let (count, ()) = queue.consume(|segments| {
            segments[0].clear();
            segments[1].advance(1);
        });
        assert_eq!((count, queue.len(), queue.segments()), (4, 2, 1));
    }
}
