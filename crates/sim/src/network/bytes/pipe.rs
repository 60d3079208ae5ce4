//! One direction of a connection: bytes arrive in order, late, in pieces, to a part, or not at all.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use bytes::{Buf, Bytes};

/// Bytes that are under way or lie unread before the writer must wait: the socket buffers of both
/// ends. A guess, near what Linux grows them to on a fast local network.
pub(super) const ROOM: usize = 256 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    flight: VecDeque<Chunk>,
    arrived: VecDeque<Bytes>,
    /// Bytes of both.
    held: usize,
    /// When the last of the flight arrives.
    last_at: u64,
    /// Nothing arrives before.
    pub stalled_until: u64,
    /// What is written is gone, and nobody is told.
    pub is_dead: bool,
    /// The writer writes no more.
    is_closed: bool,
    /// The end has arrived, behind all bytes.
    has_ended: bool,
}

#[derive(Debug)]
struct Chunk {
    at: u64,
    /// Empty: the end.
    bytes: Bytes,
}

impl Pipe {
    /// How many bytes may be written now.
    pub fn room(&self) -> usize {
        if self.is_closed { 0 } else { ROOM.saturating_sub(self.held) }
    }

    /// Bytes set out that arrive at `at`, or right behind those before; returns when.
    pub fn write(&mut self, bytes: Bytes, at: u64) -> Option<u64> {
        if self.is_closed || self.is_dead || bytes.is_empty() {
            return None;
        }
        self.held += bytes.len();
        Some(self.push(bytes, at))
    }

    /// The writer closes; returns when that arrives.
    pub fn close(&mut self, at: u64) -> Option<u64> {
        if std::mem::replace(&mut self.is_closed, true) || self.is_dead {
            return None;
        }
        Some(self.push(Bytes::new(), at))
    }

    fn push(&mut self, bytes: Bytes, at: u64) -> u64 {
        self.last_at = at.max(self.last_at + 1);
        self.flight.push_back(Chunk { at: self.last_at, bytes });
        self.last_at
    }

    /// Bytes under way.
    pub fn under_way(&self) -> usize {
        self.flight.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Of what is under way only the first `count` bytes will arrive.
    pub fn tear(&mut self, mut count: usize) {
        for chunk in &mut self.flight {
            let left = chunk.bytes.len().min(count);
            self.held -= chunk.bytes.len() - left;
            chunk.bytes.truncate(left);
            count -= left;
        }
        self.flight.retain(|chunk| !chunk.bytes.is_empty());
    }

    /// It was torn by neither end, and the reader hears of it at `at`; returns when it does.
    pub fn reset(&mut self, at: u64) -> Option<u64> {
        self.is_closed = false;
        self.close(at)
    }

    /// Time has passed, and nothing is in the way.
    pub fn arrive(&mut self, now: u64) {
        while self.flight.front().is_some_and(|chunk| chunk.at <= now) {
            let Some(chunk) = self.flight.pop_front() else { return };
            if chunk.bytes.is_empty() {
                self.has_ended = true;
            } else {
                self.arrived.push_back(chunk.bytes);
            }
        }
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.arrived.iter().map(Bytes::len).sum()
    }

    /// Whether nothing is left to read, nor will be.
    pub fn is_over(&self) -> bool {
        self.has_ended && self.arrived.is_empty()
    }

    /// Whether nothing more will arrive.
    pub fn is_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads into the slots, as far as there is something.
    pub fn read(&mut self, slots: &mut [IoSliceMut<'_>]) -> usize {
        let mut count = 0;
        for slot in slots {
            let mut filled = 0;
            while let Some(first) = self.arrived.front_mut().filter(|_| filled < slot.len()) {
                let len = first.len().min(slot.len() - filled);
                first.copy_to_slice(&mut slot[filled..filled + len]);
                filled += len;
                if first.is_empty() {
                    self.arrived.pop_front();
                }
            }
            count += filled;
            if filled < slot.len() {
                break;
            }
        }
        self.held -= count;
        count
    }

    /// Takes exactly so many bytes, if they are there.
    pub fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.readable() < count {
            return None;
        }
        let mut bytes = vec![0; count];
        self.read(&mut [IoSliceMut::new(&mut bytes)]);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pipe: &mut Pipe) -> Vec<u8> {
        let count = pipe.readable();
        pipe.take(count).unwrap()
    }

    #[test]
    fn bytes_arrive_in_order_whatever_their_delays() {
        let mut pipe = Pipe::default();
        assert_eq!(pipe.write(Bytes::from_static(b"ab"), 9), Some(9));
        assert_eq!(pipe.write(Bytes::from_static(b"c"), 3), Some(10));
        pipe.arrive(9);
        assert_eq!(all(&mut pipe), b"ab");
        pipe.arrive(10);
        assert_eq!((all(&mut pipe), pipe.room()), (b"c".to_vec(), ROOM));
    }

    #[test]
    fn a_torn_pipe_delivers_a_beginning_and_then_its_end() {
        for count in 0..=5 {
            let mut pipe = Pipe::default();
            pipe.write(Bytes::from_static(b"abc"), 1);
            pipe.write(Bytes::from_static(b"de"), 2);
            pipe.tear(count);
            pipe.reset(0);
            pipe.arrive(1_000);
            assert_eq!(pipe.readable(), count);
            assert_eq!(all(&mut pipe), b"abcde"[..count]);
            assert!(pipe.is_over() && pipe.room() == 0);
        }
    }

    #[test]
    fn a_dead_pipe_swallows_all_and_never_ends() {
        let mut pipe = Pipe { is_dead: true, ..Pipe::default() };
        assert_eq!(pipe.write(Bytes::from_static(b"abc"), 1), None);
        assert_eq!(pipe.close(1), None);
        pipe.arrive(1_000);
        assert!(pipe.readable() == 0 && !pipe.is_over());
    }

    #[test]
    fn what_is_unread_takes_room() {
        let mut pipe = Pipe::default();
        pipe.write(Bytes::from(vec![0; ROOM - 1]), 1);
        assert_eq!(pipe.room(), 1);
        pipe.arrive(1);
        assert_eq!(pipe.room(), 1);
        let mut slots = [vec![0; 10], vec![0; 20]];
        let mut slots = slots.each_mut().map(|slot| IoSliceMut::new(slot));
        assert_eq!((pipe.read(&mut slots), pipe.room()), (30, 31));
    }
}
