//! A bounded pipe of bytes, from one task to another.

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::session::SendQueue;

/// Bytes that lie in a pipe, at most: as many as the other transports leave in the kernel.
const CAPACITY: usize = 256 * 1024;

/// One direction of a link. Segments move by reference; the reader copies them out.
#[derive(Default)]
pub struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: SendQueue,
    /// The writer closed: the reader gets what is left, then end of file.
    finished: bool,
    /// One of the ends is gone.
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.finished || state.abandoned {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = CAPACITY - state.bytes.len();
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = move_bytes(queue, &mut state.bytes, room);
        wake(&mut state.reader);
        Poll::Ready(Ok(written))
    }

    pub fn poll_read(
        &self,
        cx: &mut Context<'_>,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if !state.bytes.is_empty() {
            let read = copy_bytes(&mut state.bytes, slots);
            wake(&mut state.writer);
            Poll::Ready(Ok(read))
        } else if state.finished {
            Poll::Ready(Ok(0))
        } else if state.abandoned {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        } else {
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    /// No more will be written.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        wake(&mut state.reader);
    }

    /// One of the ends is gone.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The other end's panic is not ours; the bytes are whole after any single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Moves at most `room` bytes, by reference.
fn move_bytes(from: &mut SendQueue, to: &mut SendQueue, mut room: usize) -> usize {
    let (moved, ()) = from.consume(|segments| {
        for segment in segments {
            let part = segment.split_to(segment.len().min(room));
            room -= part.len();
            to.push(part);
            if room == 0 {
                return;
            }
        }
    });
    moved
}

fn copy_bytes(from: &mut SendQueue, slots: &mut [IoSliceMut<'_>]) -> usize {
    let before = from.len();
    for slot in slots {
        let mut filled = 0;
        while filled < slot.len() && !from.is_empty() {
            let mut front = [IoSlice::new(&[])];
            from.fill(&mut front);
            let count = front[0].len().min(slot.len() - filled);
            slot[filled..filled + count].copy_from_slice(&front[0][..count]);
            filled += count;
            from.advance(count);
        }
    }
    before - from.len()
}
