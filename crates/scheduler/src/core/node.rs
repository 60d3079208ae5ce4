//! A node as the journal knows it: the life of its shim, and what it was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::NodeId;

use super::amounts::Amounts;
use crate::id::{AttemptId, ShimId};
use crate::job::Resources;
use crate::processor::Certainty;

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The life of its shim that is counted with; none if it never joined, or was given up.
    pub shim: Option<u64>,
    /// The highest life that was given up, or that another came after.
    pub gone: u64,
    /// What it offers, as it said it, and as amounts.
    pub offer: Option<Offer>,
    pub capacity: Amounts,
    /// Why it takes no more work, if somebody said so.
    pub drained: Option<Drained>,
    pub quarantine: Option<Quarantine>,
    /// Faults that were its own, one after the other.
    pub faults: u32,
    /// How often it was quarantined without anything good in between.
    pub rounds: u32,
    /// What it was given that has not ended.
    pub open: BTreeMap<AttemptId, Hold>,
    /// What of that is beyond its capacity, in the order in which it was given.
    pub ahead: BTreeMap<u64, AttemptId>,
    /// What is thought to have begun there, and was not heard of yet, in the same order.
    pub thought: BTreeMap<u64, AttemptId>,
    /// What all use that are not ahead.
    pub used: Amounts,
    /// How many of these are blocked.
    pub blocked: usize,
    /// The number of the next thing that it is given.
    pub next: u64,
}

/// What a node offers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Offer {
    /// As JSON.
    pub capacity: Arc<str>,
    pub kill: Certainty,
    pub memory: bool,
}

/// That somebody drained a node.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Drained {
    pub at: u64,
    pub reason: Option<String>,
}

/// That a node takes no work for a while.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quarantine {
    pub until: u64,
    pub reason: String,
}

/// An attempt on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When it was given, among all.
    pub at: u64,
    /// Whether it counts as used; else it waits on the node until something there ends.
    pub is_charged: bool,
    /// Whether it was given to the shim: then it is charged.
    pub has_begun: bool,
    /// Whether it has given up its processors and gpus; then it has begun.
    pub is_blocked: bool,
    /// What it needs.
    pub need: Arc<Amounts>,
}

impl Hold {
    /// What counts as used, if it is charged.
    pub fn share(&self) -> Amounts {
        let mut share = (*self.need).clone();
        if self.is_blocked {
            share.sub(&self.need.given_up());
        }
        share
    }
}

impl Node {
    /// The life that is counted with.
    pub fn life(&self, node: NodeId) -> Option<ShimId> {
        self.shim.map(|incarnation| ShimId { node, incarnation })
    }

    /// Whether a quarantine is on.
    pub fn is_quarantined(&self, at: u64) -> bool {
        self.quarantine.as_ref().is_some_and(|it| at < it.until)
    }

    /// What it offers, for people.
    pub fn resources(&self) -> Resources {
        (&self.capacity).into()
    }

    /// The first thing that waits on it: what ends there is for this.
    pub fn first_ahead(&self) -> Option<&Hold> {
        let (_, attempt) = self.ahead.first_key_value()?;
        self.open.get(attempt)
    }

    /// It is given an attempt, which counts as used if it fits beside what waits on it first.
    pub fn give(&mut self, attempt: AttemptId, need: &Arc<Amounts>) {
        let at = self.next;
        self.next += 1;
        let is_charged = self.has_room_for(need);
        let (has_begun, is_blocked, need) = (false, false, Arc::clone(need));
        self.hold(attempt, Hold { at, is_charged, has_begun, is_blocked, need });
    }

    /// It has this attempt.
    pub fn hold(&mut self, attempt: AttemptId, hold: Hold) {
        let order = if hold.is_charged { &mut self.thought } else { &mut self.ahead };
        if !hold.has_begun {
            order.insert(hold.at, attempt);
        }
        if hold.is_charged {
            self.used.add(&hold.share());
        }
        self.open.insert(attempt, hold);
    }

    /// Whether something fits beside what runs, and what waits first.
    pub fn has_room_for(&self, need: &Amounts) -> bool {
        match self.first_ahead() {
            None => self.used.leaves_room_for(need, &self.capacity),
            Some(first) => {
                let mut used = self.used.clone();
                used.add(&first.need);
                used.leaves_room_for(need, &self.capacity)
            }
        }
    }

    /// An attempt is not on it any more: what waits may begin.
    pub fn take(&mut self, attempt: AttemptId) {
        let Some(hold) = self.open.remove(&attempt) else { return };
        self.blocked -= usize::from(hold.is_blocked);
        if hold.is_charged {
            self.used.sub(&hold.share());
            self.thought.remove(&hold.at);
        } else {
            self.ahead.remove(&hold.at);
        }
        self.promote();
    }

    /// What has begun gives up its processors and gpus: what waits may begin.
    pub fn block(&mut self, attempt: AttemptId) {
        self.block_again(attempt);
        self.promote();
    }

    /// It was blocked in a state that is put back.
    pub fn block_again(&mut self, attempt: AttemptId) {
        let Some(hold) = self.open.get_mut(&attempt).filter(|hold| !hold.is_blocked) else {
            return;
        };
        hold.is_blocked = true;
        self.blocked += 1;
        let given_up = hold.need.given_up();
        self.used.sub(&given_up);
    }

    /// It is to have them again, and they are its own from now on, also where others still use them:
    /// nothing new begins before it.
    pub fn unblock(&mut self, attempt: AttemptId) {
        let Some(hold) = self.open.get_mut(&attempt).filter(|hold| hold.is_blocked) else { return };
        hold.is_blocked = false;
        self.blocked -= 1;
        let given_up = hold.need.given_up();
        self.used.add(&given_up);
        self.put_back();
    }

    /// An attempt has begun. If it was thought to wait, others that were thought to have begun wait
    /// for it: the node knows better.
    pub fn begin(&mut self, attempt: AttemptId) {
        let Some(hold) = self.open.get_mut(&attempt) else { return };
        hold.has_begun = true;
        if hold.is_charged {
            self.thought.remove(&hold.at);
            return;
        }
        hold.is_charged = true;
        self.ahead.remove(&hold.at);
        let need = Arc::clone(&hold.need);
        self.used.add(&need);
        self.put_back();
    }

    /// What was thought to have begun waits, the last first, as long as more is used than there is.
    fn put_back(&mut self) {
        while !Amounts::default().leaves_room_for(&self.used, &self.capacity) {
            let Some((at, attempt)) = self.thought.pop_last() else { return };
            let last = self.open.get_mut(&attempt).expect("what is thought of is open");
            last.is_charged = false;
            self.used.sub(&last.share());
            self.ahead.insert(at, attempt);
        }
    }

    /// What waits begins, in its order, as far as there is room.
    fn promote(&mut self) {
        while let Some((&at, &attempt)) = self.ahead.first_key_value() {
            let hold = self.open.get_mut(&attempt).expect("what waits is open");
            if !self.used.leaves_room_for(&hold.need, &self.capacity) {
                return;
            }
            hold.is_charged = true;
            self.used.add(&hold.need);
            self.ahead.remove(&at);
            self.thought.insert(at, attempt);
        }
    }

    /// Its capacity changed: what counts as used is counted anew, what has begun first, then in the
    /// order of giving.
    pub fn recount(&mut self, capacity: Amounts) {
        self.capacity = capacity;
        self.used = Amounts::default();
        self.ahead.clear();
        self.thought.clear();
        let mut all: Vec<(AttemptId, Hold)> = std::mem::take(&mut self.open).into_iter().collect();
        all.sort_unstable_by_key(|(_, hold)| (!hold.has_begun, hold.at));
        for (attempt, mut hold) in all {
            let has_room =
                self.ahead.is_empty() && self.used.leaves_room_for(&hold.need, &self.capacity);
            hold.is_charged = hold.has_begun || has_room;
            self.hold(attempt, hold);
        }
    }
}
