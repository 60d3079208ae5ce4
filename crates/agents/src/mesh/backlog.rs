//! Frames that need no credit and wait for room in a lane: answers, and news between nodes.

use std::collections::VecDeque;

use bytes::Bytes;

/// Frames that may wait in one lane. Further ones are dropped and counted: only a node that asks
/// and does not listen gets there.
pub const MAX_BACKLOG: usize = 65_536;
/// Bytes of answers among them, beside which one is let in however long: two of the longest.
pub const MAX_BACKLOG_BYTES: usize = 32 << 20;
/// Frames up to this length are news, such as credit given back, and never yield to answers. All
/// that may wait of them take 8 MiB.
const NEWS: usize = 128;

/// See the module. In order.
#[derive(Default)]
pub struct Backlog {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Backlog {
    /// Adds a frame. False, and nothing has changed, if too much waits.
    #[must_use]
    pub fn push(&mut self, frame: &[u8]) -> bool {
        let fits =
            frame.len() <= NEWS || self.bytes == 0 || self.bytes + frame.len() <= MAX_BACKLOG_BYTES;
        let has_room = fits && self.frames.len() < MAX_BACKLOG;
        if has_room {
            self.bytes += answer_bytes(frame);
            self.frames.push_back(Bytes::copy_from_slice(frame));
        }
        has_room
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= answer_bytes(&frame);
        Some(frame)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// What a frame takes of the bytes that answers have.
fn answer_bytes(frame: &[u8]) -> usize {
    if frame.len() <= NEWS { 0 } else { frame.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_nobody_takes_are_bounded_in_bytes_and_never_keep_news_out() {
        let mut backlog = Backlog::default();
        let answer = vec![0; 1 << 20];
        assert_eq!((0..100).filter(|_| backlog.push(&answer)).count(), 32);
        assert!(backlog.push(&[0; NEWS]));
        assert!(backlog.pop().is_some_and(|frame| frame.len() == answer.len()));
        assert!(backlog.push(&answer), "what has left has made room");
    }

    #[test]
    fn the_longest_answer_has_its_turn_and_news_are_bounded_in_number() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(&vec![0; MAX_BACKLOG_BYTES + 1]));
        assert_eq!((0..MAX_BACKLOG).filter(|_| backlog.push(&[0])).count(), MAX_BACKLOG - 1);
        while backlog.pop().is_some() {}
        assert!(backlog.is_empty() && backlog.bytes == 0);
    }
}
