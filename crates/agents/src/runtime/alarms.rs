//! What is due when: a heap with lazy removal, bounded by what is really set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dx_transport::time::Instant;

use crate::id::{AgentId, AskId, TimerKey};

/// Alarms of a worker's agents. Those that were cleared stay until they come up or make up more
/// than half of it.
#[derive(Default)]
pub struct Alarms {
    heap: BinaryHeap<Reverse<Entry>>,
    cleared: usize,
    sequence: u64,
}

/// What an alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A timer's setting.
    Timer(TimerKey, u64),
    /// A question's deadline.
    Deadline(AskId),
    /// The agent starts anew.
    Restart,
}

/// An alarm and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    at: Instant,
    sequence: u64,
    /// The agent's place with its worker.
    pub slot: u32,
    /// The agent.
    pub agent: AgentId,
    /// What for.
    pub alarm: Alarm,
}

impl Alarms {
    /// Sets an alarm.
    pub fn set(&mut self, at: Instant, slot: u32, agent: AgentId, alarm: Alarm) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, slot, agent, alarm }));
    }

    /// Notes that one alarm need not come. `is_set` says of each whether it still counts; it is
    /// asked when it is time to clean up.
    pub fn clear_one(&mut self) -> bool {
        self.cleared += 1;
        self.cleared > MIN_CLEARED && self.cleared > self.heap.len() / 2
    }

    /// Removes all that no longer count.
    pub fn clean(&mut self, is_set: impl Fn(&Entry) -> bool) {
        self.heap.retain(|Reverse(entry)| is_set(entry));
        self.cleared = 0;
    }

    /// The next alarm that is due, if any.
    pub fn due(&mut self, now: Instant) -> Option<Entry> {
        if self.heap.peek().is_some_and(|Reverse(entry)| entry.at <= now) {
            return self.heap.pop().map(|Reverse(entry)| entry);
        }
        None
    }

    /// When the next one is.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes out the alarms of one agent, with their times.
    pub fn extract(&mut self, agent: AgentId) -> Vec<(Instant, Alarm)> {
        let mut extracted = Vec::new();
        self.heap.retain(|Reverse(entry)| {
            if entry.agent == agent {
                extracted.push((entry.at, entry.alarm));
            }
            entry.agent != agent
        });
        extracted
    }

    /// How many there are, cleared ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

/// Below this many it is not worth cleaning up.
const MIN_CLEARED: usize = 64;
