//! Effects that wait until what was persisted before them is durable.

use std::collections::VecDeque;

use crate::effect::Effect;

/// Effects that may wait for the journal before the agent takes no further step.
pub const MAX_HELD: usize = 4096;
/// Entries of an agent that may be on their way to the disk before it takes no further step.
pub const MAX_BEHIND: usize = 1024;
/// Their bytes: one of the longest entries.
pub const MAX_BEHIND_BYTES: usize = 16 << 20;

/// Counts the entries of an agent, and keeps in order what depends on them.
#[derive(Default)]
pub struct Held {
    /// Entries handed to the journal since the node's start.
    persisted: u64,
    /// Lengths of those that are not durable yet.
    behind: VecDeque<usize>,
    behind_bytes: usize,
    /// Each with the count of entries that must be durable first.
    effects: VecDeque<(u64, Effect)>,
}

impl Held {
    /// Entries of these lengths were handed to the journal.
    pub fn persisted(&mut self, entries: &[usize]) {
        self.persisted += entries.len() as u64;
        self.behind.extend(entries);
        self.behind_bytes += entries.iter().sum::<usize>();
    }

    /// Whether entries are on their way.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Whether the agent must wait.
    pub fn is_at_bound(&self) -> bool {
        self.effects.len() >= MAX_HELD
            || self.behind.len() >= MAX_BEHIND
            || self.behind_bytes >= MAX_BEHIND_BYTES
    }

    /// Keeps an effect until all entries so far are durable.
    pub fn hold(&mut self, effect: Effect) {
        self.effects.push_back((self.persisted, effect));
    }

    /// So many entries are durable: what waited for them leaves.
    pub fn release(&mut self, durable: u64, out: &mut Vec<Effect>) {
        let first_behind = self.persisted - self.behind.len() as u64;
        for _ in first_behind..durable.min(self.persisted) {
            self.behind_bytes -= self.behind.pop_front().unwrap_or(0);
        }
        while self.effects.front().is_some_and(|(entries, _)| *entries <= durable) {
            out.extend(self.effects.pop_front().map(|(_, effect)| effect));
        }
    }
}
