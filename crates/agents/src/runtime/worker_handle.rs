//! How others reach a worker.

use std::sync::PoisonError;
use std::task::Waker;

use dx_transport::time::Instant;

use crate::id::{AgentId, AskId};
use crate::runtime::alarms::Alarm;
use crate::runtime::resident::Resident;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The part of a worker that other threads touch.
#[derive(Default)]
pub struct WorkerHandle {
    incoming: Mutex<Incoming>,
    has_incoming: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// The agent whose turn it is, and when the turn began; for whoever looks for slow steps.
    pub turn_of: AtomicU64,
    /// Nanoseconds on the runtime's clock; 0 between turns.
    pub turn_since: AtomicU64,
}

/// An agent on its way to a worker, and what it has set its alarms to.
pub struct Arrival {
    pub resident: Box<Resident>,
    pub alarms: Vec<(Instant, Alarm)>,
}

impl From<Box<Resident>> for Arrival {
    /// A new one: it has set none.
    fn from(resident: Box<Resident>) -> Self {
        Self { resident, alarms: Vec::new() }
    }
}

/// What others want of a worker.
#[derive(Default)]
pub struct Incoming {
    /// Agents that have something to do.
    pub ready: Vec<u32>,
    /// Agents that move in.
    pub arriving: Vec<Arrival>,
    /// Deadlines of questions that ports asked.
    pub deadlines: Vec<(Instant, AgentId, AskId)>,
    /// Set when the worker is to end.
    pub ending: Option<Ending>,
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// When its agents have.
    WhenDone,
    /// At once.
    Now,
}

impl WorkerHandle {
    /// Says that the agent at `slot` has something to do.
    pub fn schedule(&self, slot: u32) {
        self.order(|incoming| incoming.ready.push(slot));
    }

    /// Leaves something for the worker, and wakes it.
    pub fn order(&self, change: impl FnOnce(&mut Incoming)) {
        change(&mut self.incoming.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.has_incoming.swap(true, Ordering::AcqRel) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = &*waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Takes what was left, into `into`, which must be empty. False if there was nothing.
    pub fn take(&self, into: &mut Incoming) -> bool {
        // Acquire pairs with the release in `order`: what was left before the flag is seen.
        if !self.has_incoming.load(Ordering::Acquire)
            || !self.has_incoming.swap(false, Ordering::AcqRel)
        {
            return false;
        }
        let mut incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *incoming, into);
        true
    }

    /// Whether something was left.
    pub fn has_incoming(&self) -> bool {
        self.has_incoming.load(Ordering::Acquire)
    }

    /// How the worker is woken when it sleeps. To be set before it looks for the last time
    /// whether something was left.
    pub fn wake_with(&self, waker: &Waker) {
        let mut current = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|current| !current.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }
}

#[cfg(all(test, feature = "loom"))]
mod interleavings {
    use std::sync::Arc;
    use std::task::Wake;

    use loom::sync::{Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// What parks a thread and lets it go on: a token, as that of the standard library. (Loom's own
    /// cannot bear one that is left for a thread which waits for another's end.)
    #[derive(Default)]
    struct Parker {
        token: Mutex<bool>,
        is_left: Condvar,
    }

    impl Parker {
        fn park(&self) {
            let mut token = self.token.lock().unwrap();
            while !std::mem::take(&mut *token) {
                token = self.is_left.wait(token).unwrap();
            }
        }
    }

    impl Wake for Parker {
        fn wake(self: Arc<Self>) {
            *self.token.lock().unwrap() = true;
            self.is_left.notify_one();
        }
    }

    /// Takes what is left as a worker's thread does, until it has had `count` orders.
    fn work(handle: &WorkerHandle, count: usize) -> Vec<u32> {
        let parker = Arc::new(Parker::default());
        handle.wake_with(&Waker::from(Arc::clone(&parker)));
        let mut got = Vec::new();
        let mut incoming = Incoming::default();
        while got.len() < count {
            if handle.take(&mut incoming) {
                got.append(&mut incoming.ready);
            } else if !handle.has_incoming() {
                // Nobody would wake it if an order were lost: loom finds that deadlock.
                parker.park();
            }
        }
        got
    }

    #[test]
    fn no_order_and_no_wake_up_is_lost() {
        crate::sync::model(|| {
            let handle = Arc::new(WorkerHandle::default());
            let others: Vec<_> = [1, 2]
                .map(|slot| {
                    let handle = Arc::clone(&handle);
                    thread::spawn(move || handle.schedule(slot))
                })
                .into();
            let mut got = work(&handle, 2);
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }

    #[test]
    fn orders_of_one_thread_are_taken_in_order() {
        crate::sync::model(|| {
            let handle = Arc::new(WorkerHandle::default());
            let other = Arc::clone(&handle);
            let other = thread::spawn(move || (1..=3).for_each(|slot| other.schedule(slot)));
            assert_eq!(work(&handle, 3), [1, 2, 3]);
            other.join().unwrap();
        });
    }

    /// A driver whose waker changes sets it and then looks once more.
    #[test]
    fn a_change_of_the_waker_loses_no_wake_up() {
        crate::sync::model(|| {
            let handle = Arc::new(WorkerHandle::default());
            handle.wake_with(Waker::noop());
            let other = Arc::clone(&handle);
            let other = thread::spawn(move || other.schedule(1));
            assert_eq!(work(&handle, 1), [1]);
            other.join().unwrap();
        });
    }
}
