//! What one agent of this node grants one other node, and how it is given back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dx_transport::id::Incarnation;

use crate::event::Account;
use crate::id::AgentId;
use crate::mesh::link::Link;
use crate::mesh::wire::{Amount, Frame};
use crate::remote::credit::Quota;

/// See the module.
pub struct Seat {
    agent: AgentId,
    link: Arc<Link>,
    /// The life of the node that it is granted to.
    life: Incarnation,
    quota: Mutex<Quota>,
    /// The node has begun another life, which knows nothing of these messages.
    is_over: AtomicBool,
}

impl Seat {
    /// A seat of so many places, which the node is told.
    pub fn new(agent: AgentId, link: Arc<Link>, life: Incarnation, share: Amount) -> Arc<Self> {
        let quota = Mutex::new(Quota::new(share));
        let seat = Self { agent, link, life, quota, is_over: AtomicBool::new(false) };
        seat.announce();
        Arc::new(seat)
    }

    /// Lets a message in; false if the node has no place for it.
    pub fn admit(&self, bytes: u64) -> bool {
        self.quota().admit(bytes)
    }

    /// Lets a message in that is handled at once; false if the node has no place for it.
    /// `is_another`: it came together with one before it.
    #[inline]
    pub fn pass(&self, bytes: u64, is_another: bool) -> bool {
        let mut quota = self.quota();
        let may = if is_another { quota.admit_another(bytes) } else { quota.admit(bytes) };
        if may && let Some(freed) = quota.free(bytes) {
            self.flush(freed, quota);
        }
        may
    }

    /// A probe came; see [`Quota::probe`].
    pub fn probe(&self, round: u64, lane: usize) -> Option<Amount> {
        self.quota().probe(round, lane)
    }

    /// Tells the node its share.
    pub fn announce(&self) {
        self.grant(Amount::default(), self.share());
    }

    /// Messages and bytes that wait.
    pub fn held(&self) -> Amount {
        self.quota().held()
    }

    /// What may.
    pub fn share(&self) -> Amount {
        self.quota().share()
    }

    /// The node's life is over.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Gives back all that is free; whether nothing is left then.
    pub fn clear(&self) -> bool {
        let (freed, share, is_idle) = {
            let mut quota = self.quota();
            (quota.flush(), quota.share(), quota.is_idle())
        };
        if freed != Amount::default() {
            self.grant(freed, share);
        }
        is_idle
    }

    /// Gives back what was freed.
    #[cold]
    fn flush(&self, freed: Amount, quota: MutexGuard<'_, Quota>) {
        let share = quota.share();
        drop(quota);
        if !self.is_over.load(Ordering::Acquire) {
            self.grant(freed, share);
        }
    }

    fn grant(&self, freed: Amount, share: Amount) {
        if self.link.is_leaving(self.life) {
            return;
        }
        // What is dropped here because far too much waits is found out by the next probe.
        self.link.say(&Frame::Grant { life: self.life, to: self.agent, freed, share });
    }

    fn quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account for Seat {
    fn give_back(&self, bytes: usize) {
        let mut quota = self.quota();
        if let Some(freed) = quota.free(bytes as u64) {
            self.flush(freed, quota);
        }
    }
}
