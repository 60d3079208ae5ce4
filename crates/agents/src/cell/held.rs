//! Effects that wait until what was persisted before them is durable.

use std::collections::VecDeque;

use crate::effect::Effect;

/// Counts the entries of an agent, and keeps in order what depends on them.
#[derive(Default)]
pub struct Held {
    /// Entries handed to the journal since the node's start.
    persisted: u64,
    /// Entries that the journal holds durably.
    durable: u64,
    /// Each with the count of entries that must be durable first.
    effects: VecDeque<(u64, Effect)>,
}

impl Held {
    pub fn persisted(&mut self, entries: u64) {
        self.persisted += entries;
    }

    pub fn is_behind(&self) -> bool {
        self.durable < self.persisted
    }

    pub fn len(&self) -> usize {
        self.effects.len()
    }

    pub fn hold(&mut self, effect: Effect) {
        self.effects.push_back((self.persisted, effect));
    }

    pub fn release(&mut self, durable: u64, out: &mut Vec<Effect>) {
        self.durable = self.durable.max(durable);
        while self.effects.front().is_some_and(|(entries, _)| *entries <= self.durable) {
            out.extend(self.effects.pop_front().map(|(_, effect)| effect));
        }
    }
}
