//! What comes next where that is a choice: in a systematic search, and by priorities.
//!
//! Delays are fixed there, and what is due within a window of the first can come in any order:
//! whatever is passed by is late, as it may be in a real network. What keeps an order of its own (the
//! parcels of a way, the timers of an agent) keeps it. Steps of agents are not among it: they come
//! at once, since two of them on different nodes do not see each other, and what they send has
//! choices of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::network::Frame;
use crate::schedule::{Due, Entry};
use crate::sim::Sim;

/// The most that are offered at once: those due first. A guess; ten nodes rarely have more.
const MOST: usize = 16;

/// Set beside an agent's place, so that it is not taken for another kind of number.
pub(crate) const AGENT: u64 = 1 << 56;
const WAY: u64 = 2 << 56;
const DATAGRAM: u64 = 3 << 56;
const TASK: u64 = 4 << 56;
const PORT: u64 = 5 << 56;
const DISK: u64 = 6 << 56;
const LINK: u64 = 7 << 56;
const NODE: u64 = 8 << 56;
const FAULT: u64 = 9 << 56;
const BYTES: u64 = 10 << 56;
const LATE: u64 = 11 << 56;

impl Sim {
    /// Takes out what comes next.
    #[inline]
    pub(crate) fn next_due(&mut self) -> Option<(u64, Due)> {
        match self.choices.window() {
            None => self.schedule.next(),
            Some(window) => self.next_in_window(window),
        }
    }

    fn next_in_window(&mut self, window: Duration) -> Option<(u64, Due)> {
        let first = self.schedule.next_at()?;
        let last = first.saturating_add(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
        let mut taken: Vec<Entry> = Vec::new();
        let mut offered: Vec<(usize, u64)> = Vec::new();
        let mut lines = BTreeSet::new();
        while offered.len() < MOST
            && self.schedule.next_at().is_some_and(|at| at <= last)
            && let Some(entry) = self.schedule.take()
        {
            let Some(line) = self.order_of(entry.due()) else {
                self.schedule.put_back(taken);
                return Some((entry.at(), entry.due()));
            };
            if lines.insert(line) {
                offered.push((taken.len(), line));
            }
            taken.push(entry);
        }
        let count = (offered.len() as u64).max(1);
        let chosen = self.choices.switch_among("due", count, |at| offered[at as usize].1);
        let (at, _) = offered[chosen as usize];
        let entry = taken.remove(at);
        self.schedule.put_back(taken);
        Some((entry.at(), entry.due()))
    }

    /// What keeps its order with others of the same number; `None` if it comes at once.
    fn order_of(&self, due: Due) -> Option<u64> {
        let number = |kind: u64, at: u32| Some(kind | u64::from(at));
        match due {
            Due::Core { .. } => None,
            Due::Timer { slot, .. } | Due::Deadline { slot, .. } | Due::Restart { slot } => {
                number(AGENT, slot)
            }
            Due::PortDeadline { port, .. } => number(PORT, port),
            Due::Work { task, .. } => number(TASK, task),
            Due::Late { number: what, .. } => number(LATE, what),
            Due::Commit { node, .. } => number(DISK, node),
            Due::Link { pair, .. } => number(LINK, pair),
            Due::Bytes(due) => due.order().map(|order| BYTES | order),
            Due::Node { node, .. } => number(NODE, node),
            Due::Fault(_) => number(FAULT, 0),
            Due::Arrival { parcel } => match self.links.parcels.get(parcel) {
                Some(found) if matches!(found.frame, Frame::Datagram(_)) => {
                    number(DATAGRAM, parcel)
                }
                Some(found) => Some(WAY | u64::from(found.pair) << 1 | u64::from(found.up)),
                None => None,
            },
        }
    }
}
