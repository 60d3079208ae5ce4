//! How others reach a worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use dx_transport::time::Instant;

use crate::id::{AgentId, AskId};
use crate::runtime::alarms::Alarm;
use crate::runtime::resident::Resident;

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
