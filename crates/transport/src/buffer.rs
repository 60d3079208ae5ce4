//! Receive buffers that are used again: fresh pages cost more than the copy into them.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The smallest buffer there is.
pub(crate) const SMALLEST: usize = 16 * 1024;
/// Buffers above this size are not kept.
const LARGEST: usize = 16 * 1024 * 1024;
/// Power-of-two classes from [`SMALLEST`] to [`LARGEST`].
const CLASSES: usize = (LARGEST / SMALLEST).ilog2() as usize + 1;

/// A bounded store of receive buffers, shared by all sessions of a mesh.
///
/// A buffer comes back by itself when the last message that lies in it is dropped.
pub struct BufferPool {
    free: Mutex<Free>,
    max_bytes: usize,
}

#[derive(Default)]
struct Free {
    classes: [Vec<Vec<u8>>; CLASSES],
    bytes: usize,
}

impl BufferPool {
    /// A pool that keeps at most `max_bytes` of unused buffers.
    #[must_use]
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), max_bytes })
    }

    /// Bytes of unused buffers it holds now.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// A buffer of at least `len` bytes with arbitrary contents.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let data = match class(len) {
            Some(index) => self.reuse(index).unwrap_or_else(|| vec![0; SMALLEST << index]),
            None => vec![0; len],
        };
        Buffer { data, pool: Arc::clone(self) }
    }

    fn reuse(&self, index: usize) -> Option<Vec<u8>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let data = free.classes[index].pop()?;
        free.bytes -= data.len();
        Some(data)
    }

    fn put_back(&self, data: Vec<u8>) {
        let Some(index) = class(data.len()).filter(|index| SMALLEST << index == data.len()) else {
            return;
        };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + data.len() <= self.max_bytes {
            free.bytes += data.len();
            free.classes[index].push(data);
        }
    }
}

/// The class of the smallest buffers that hold `len` bytes.
fn class(len: usize) -> Option<usize> {
    (len <= LARGEST).then(|| len.div_ceil(SMALLEST).max(1).next_power_of_two().ilog2() as usize)
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("kept_bytes", &self.kept_bytes()).finish()
    }
}

/// A buffer on loan from a [`BufferPool`].
pub(crate) struct Buffer {
    data: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl Buffer {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.data
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// Turns it into shared bytes; the memory returns to the pool when the last share is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.put_back(mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_when_its_last_share_is_dropped() {
        let pool = BufferPool::new(1 << 20);
        let share = pool.take(20_000).freeze();
        let part = share.slice(5..10);
        drop(share);
        assert_eq!(pool.kept_bytes(), 0);
        drop(part);
        assert_eq!(pool.kept_bytes(), 32 * 1024);
        assert_eq!(pool.take(17_000).len(), 32 * 1024);
        assert_eq!(pool.kept_bytes(), 32 * 1024);
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound() {
        let pool = BufferPool::new(SMALLEST);
        drop((pool.take(1), pool.take(1)));
        assert_eq!(pool.kept_bytes(), SMALLEST);
        drop(pool.take(LARGEST + 1));
        assert_eq!(pool.kept_bytes(), SMALLEST);
    }
}
