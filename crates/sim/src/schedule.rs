//! What happens when: a heap in the order of time; at one instant, in an order that is drawn.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use dx_agents::{AskId, TimerKey};

use crate::choices::Choices;
use crate::network::BytesDue;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A core of a node is free; who was on it until now, if anybody.
    Core {
        /// The node's place.
        node: u32,
        /// Its life.
        life: u32,
        /// The agent's place.
        slot: u32,
    },
    /// An agent's timer.
    Timer {
        /// The agent's place.
        slot: u32,
        /// Which.
        key: TimerKey,
        /// Which setting of it.
        generation: u64,
        /// What its node's clock must show.
        at: u64,
    },
    /// The deadline of an agent's question.
    Deadline {
        /// The agent's place.
        slot: u32,
        /// Which.
        ask: AskId,
        /// What its node's clock must show.
        at: u64,
    },
    /// The deadline of a port's question.
    PortDeadline {
        /// The port's place.
        port: u32,
        /// Which.
        ask: AskId,
    },
    /// An agent that failed starts anew.
    Restart {
        /// The agent's place.
        slot: u32,
    },
    /// A parcel arrives from another node.
    Arrival {
        /// Its number.
        parcel: u32,
    },
    /// Offloaded work ends.
    Work {
        /// The agent's place.
        slot: u32,
        /// The task's number.
        task: u32,
    },
    /// A liar says what it held back.
    Late {
        /// The agent's place.
        slot: u32,
        /// What, by its number.
        number: u32,
    },
    /// A node's commit returns.
    Commit {
        /// The node's place.
        node: u32,
        /// Its life.
        life: u32,
    },
    /// Something about two nodes' link: see `network`.
    Link {
        /// The pair's number.
        pair: u32,
        /// Which of its conditions it is about; another one came since if they differ.
        turn: u32,
        /// What.
        what: LinkDue,
    },
    /// Something about bytes between nodes.
    Bytes(BytesDue),
    /// A node begins, or goes on.
    Node {
        /// Its place.
        node: u32,
        /// Its life.
        life: u32,
        /// What.
        what: NodeDue,
    },
    /// A fault, or its end.
    Fault(Act),
}

/// What the plan of faults has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A slot of the plan begins.
    Slot {
        /// Which plan.
        turn: u32,
        /// Which slot of it.
        number: u32,
    },
    /// A fault comes.
    Inject {
        /// Which plan.
        turn: u32,
        /// Which fault of it.
        fault: u32,
    },
    /// All ways of the network are mended.
    MendAll,
    /// A node is as it was.
    PutRight(u32),
}

/// What is due on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkDue {
    /// The silence has lasted so long that both sides take the link for broken.
    Silence,
    /// The nodes have found each other again.
    Redial,
    /// There was no link for so long that the session ends.
    Expiry,
    /// A clogged direction flows again: true for the one from the lower place to the higher.
    Unclog(bool),
}

/// What is due on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeDue {
    /// It starts, or restarts.
    Boot,
    /// A pause is over.
    Resume,
    /// A crash that waited for its moment comes anyway.
    Crash,
}

/// See the module.
#[derive(Default)]
pub struct Schedule {
    heap: BinaryHeap<Entry>,
    sequence: u64,
    cleared: usize,
}

/// Time, tie and sequence in one number: the smallest is next.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    key: u128,
    due: Due,
}

impl Entry {
    /// When.
    pub fn at(self) -> u64 {
        (self.key >> 64) as u64
    }

    /// What.
    pub fn due(self) -> Due {
        self.due
    }
}

/// Possible ties at one instant. More would not be more orders that matter.
const TIES: u32 = 1 << 16;
const SEQUENCE_BITS: u32 = 64 - 17;

impl Schedule {
    /// Adds something, in a random order with what else is due then.
    #[inline]
    pub fn add(&mut self, at: u64, due: Due, choices: &mut Choices) {
        let tie = 1 + choices.choose_finely("tie", u64::from(TIES)) as u32;
        self.push(at, tie, due);
    }

    /// Adds something that comes before all that is due then and was [added](Self::add), and after
    /// what came by this way before.
    pub fn add_first(&mut self, at: u64, due: Due) {
        self.push(at, 0, due);
    }

    #[inline]
    fn push(&mut self, at: u64, tie: u32, due: Due) {
        self.sequence += 1;
        let order = u64::from(tie) << SEQUENCE_BITS | self.sequence;
        self.heap.push(Entry { key: u128::from(at) << 64 | u128::from(order), due });
    }

    /// Takes out what is next, with its time.
    #[inline]
    pub fn next(&mut self) -> Option<(u64, Due)> {
        self.heap.pop().map(|entry| (entry.at(), entry.due))
    }

    /// The same, to be [put back](Self::put_back) perhaps.
    pub fn take(&mut self) -> Option<Entry> {
        self.heap.pop()
    }

    /// Puts back what was taken: it keeps its place.
    pub fn put_back(&mut self, taken: impl IntoIterator<Item = Entry>) {
        self.heap.extend(taken);
    }

    /// When that is.
    #[inline]
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at())
    }

    /// All that is due, with its time, in no order.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Due)> {
        self.heap.iter().map(|entry| ((entry.key >> 64) as u64, &entry.due))
    }

    /// The same in the order in which it comes.
    pub fn in_order(&self) -> Vec<(u64, Due)> {
        let mut entries: Vec<Entry> = self.heap.iter().copied().collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        entries.into_iter().map(|entry| ((entry.key >> 64) as u64, entry.due)).collect()
    }

    /// One of them is not needed any more. True if it is time to [clean](Self::clean).
    #[inline]
    pub fn clear_one(&mut self) -> bool {
        self.cleared += 1;
        self.cleared > MIN_CLEARED && self.cleared > self.heap.len() / 2
    }

    /// Keeps only what is needed.
    pub fn clean(&mut self, is_needed: impl Fn(&Due) -> bool) {
        self.heap.retain(|entry| is_needed(&entry.due));
        self.cleared = 0;
    }
}

/// Below this many it is not worth cleaning up.
const MIN_CLEARED: usize = 1024;

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<u32> {
        let mut choices = Choices::seeded(seed);
        let mut schedule = Schedule::default();
        (0..8).for_each(|slot| schedule.add(5, Due::Restart { slot }, &mut choices));
        schedule.add(4, Due::Restart { slot: 100 }, &mut choices);
        schedule.add_first(5, Due::Restart { slot: 200 });
        std::iter::from_fn(|| schedule.next())
            .map(|(_, due)| match due {
                Due::Restart { slot } => slot,
                other => panic!("{other:?} was never added"),
            })
            .collect()
    }

    #[test]
    fn what_is_due_at_once_comes_in_an_order_of_the_seed() {
        let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
        assert!(orders.len() > 10, "{orders:?}");
        assert!(orders.iter().all(|order| order[..2] == [100, 200]), "time and `first` come first");
        assert_eq!(order(3), order(3));
    }
}
