//! Which arrival belongs to which send. Messages carry no number for it: that would be one more
//! thing on each message's way for what is hardly ever looked at. Those of one sender, receiver and
//! content are told apart by their order, which sessions keep and without which nobody could tell
//! them apart anyway.

use std::collections::{BTreeMap, VecDeque};

use dx_agents::AgentId;

/// Sender, receiver, and a hash of the content.
pub type Key = (AgentId, AgentId, u64);

/// See the module.
#[derive(Debug, Default)]
pub struct Matching {
    /// What is under way, the oldest first.
    under_way: BTreeMap<Key, VecDeque<usize>>,
    /// What came last, for what comes again.
    came: BTreeMap<Key, usize>,
}

impl Matching {
    /// A message set out.
    pub fn sent(&mut self, key: Key, number: usize) {
        self.under_way.entry(key).or_default().push_back(number);
    }

    /// One came: its number if it is known, and whether it had come before.
    pub fn came(&mut self, key: Key) -> (Option<usize>, bool) {
        match self.lost(key) {
            Some(number) => {
                self.came.insert(key, number);
                (Some(number), false)
            }
            None => {
                let before = self.came.get(&key).copied();
                (before, before.is_some())
            }
        }
    }

    /// One will not come: its number if it is known.
    pub fn lost(&mut self, key: Key) -> Option<usize> {
        let line = self.under_way.get_mut(&key)?;
        let number = line.pop_front();
        if line.is_empty() {
            self.under_way.remove(&key);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_messages_come_in_their_order_and_again() {
        let key = (AgentId(1), AgentId(2), 7);
        let mut matching = Matching::default();
        (10..13).for_each(|number| matching.sent(key, number));
        assert_eq!(matching.came(key), (Some(10), false));
        assert_eq!(matching.lost(key), Some(11));
        assert_eq!(matching.came(key), (Some(12), false));
        assert_eq!(matching.came(key), (Some(12), true));
        assert_eq!(matching.came((AgentId(1), AgentId(2), 8)), (None, false));
    }
}
