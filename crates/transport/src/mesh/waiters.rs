//! Tasks that wait for something to happen on a lane.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::lane::LaneSet;

/// The wakers of waiting tasks. Lives under the lock of what is waited for.
///
/// All tasks that wait for a lane are woken together. That is a little work too much where many
/// wait for the same lane, and it never loses a wake-up to a task that was cancelled meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    last_key: u64,
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    key: u64,
    lanes: LaneSet,
    waker: Waker,
}

impl Waiters {
    /// Moves the wakers of all that wait for one of `lanes` to `woken`. The caller wakes them once
    /// it holds no lock.
    pub(crate) fn take(&mut self, lanes: LaneSet, woken: &mut Vec<Waker>) {
        let hit = |waiter: &mut Waiter| waiter.lanes.iter().any(|lane| lanes.contains(lane));
        woken.extend(self.waiting.extract_if(.., hit).map(|waiter| waiter.waker));
    }

    fn register(&mut self, key: Option<u64>, lanes: LaneSet, waker: &Waker) -> u64 {
        if let Some(own) = self.waiting.iter_mut().find(|waiter| Some(waiter.key) == key) {
            own.waker.clone_from(waker);
            return own.key;
        }
        self.last_key += 1;
        self.waiting.push(Waiter { key: self.last_key, lanes, waker: waker.clone() });
        self.last_key
    }

    fn remove(&mut self, key: u64) {
        self.waiting.retain(|waiter| waiter.key != key);
    }
}

/// State that can be waited for.
pub(crate) trait Awaited {
    /// Where those who wait are listed.
    fn waiters(&mut self) -> &mut Waiters;
}

/// Waits until `attempt` yields something. It is tried now, and again whenever one of `lanes` is
/// woken. Cancel-safe: dropped, the future leaves nothing behind.
pub(crate) async fn wait_for<S: Awaited, T>(
    state: &Mutex<S>,
    lanes: LaneSet,
    mut attempt: impl FnMut(&mut S) -> Option<T>,
) -> T {
    let mut waiting = Waiting { state, key: None };
    std::future::poll_fn(|cx| waiting.poll(cx, lanes, &mut attempt)).await
}

struct Waiting<'a, S: Awaited> {
    state: &'a Mutex<S>,
    key: Option<u64>,
}

impl<S: Awaited> Waiting<'_, S> {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        lanes: LaneSet,
        attempt: &mut impl FnMut(&mut S) -> Option<T>,
    ) -> Poll<T> {
        let mut state = lock(self.state);
        if let Some(value) = attempt(&mut state) {
            if let Some(key) = self.key.take() {
                state.waiters().remove(key);
            }
            return Poll::Ready(value);
        }
        self.key = Some(state.waiters().register(self.key, lanes, cx.waker()));
        Poll::Pending
    }
}

impl<S: Awaited> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(self.state).waiters().remove(key);
        }
    }
}

/// Locks `mutex`. State behind our locks is whole after every statement, so that a panic
/// elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes all of `woken` and empties it. Call it without holding a lock.
pub(crate) fn wake_all(woken: &mut Vec<Waker>) {
    woken.drain(..).for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::lane::Lane;

    #[derive(Default)]
    struct Cell {
        value: Option<u32>,
        waiters: Waiters,
    }

    impl Awaited for Cell {
        fn waiters(&mut self) -> &mut Waiters {
            &mut self.waiters
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put(cell: &Mutex<Cell>, lane: Lane, value: u32) {
        let mut woken = Vec::new();
        {
            let mut cell = lock(cell);
            cell.value = Some(value);
            cell.waiters.take(LaneSet::only(lane), &mut woken);
        }
        wake_all(&mut woken);
    }

    #[test]
    fn only_those_who_wait_for_the_lane_are_woken() {
        let cell = Mutex::new(Cell::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let mut waiting =
            pin!(wait_for(&cell, LaneSet::only(Lane::DATA), |cell| cell.value.take()));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        put(&cell, Lane::BULK, 1);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        put(&cell, Lane::DATA, 2);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(2));
    }

    #[test]
    fn a_cancelled_wait_leaves_nothing_behind() {
        let cell = Mutex::new(Cell::default());
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut waiting = pin!(wait_for(&cell, LaneSet::ALL, |cell| cell.value.take()));
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert_eq!(lock(&cell).waiters.waiting.len(), 1);
        }
        assert!(lock(&cell).waiters.waiting.is_empty());
    }
}
