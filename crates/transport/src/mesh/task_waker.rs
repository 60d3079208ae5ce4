//! A way to wake one task from anywhere.

use std::sync::Mutex;
use std::task::Waker;

use crate::mesh::waiters::lock;

/// The waker of the task that was last here; nobody at first.
#[derive(Debug, Default)]
pub(crate) struct TaskWaker(Mutex<Option<Waker>>);

impl TaskWaker {
    /// Makes the current task the one to be woken.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = lock(&self.0);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    /// Wakes it, whether it sleeps or not.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*lock(&self.0) {
            waker.wake_by_ref();
        }
    }
}
