//! What waits for credit, or for room in a lane of the link, on its way to one agent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::{AgentId, AskId};
use crate::lane::Lane;
use crate::spec::WhenFull;

/// Messages that may wait for one agent of another node.
pub const MAX_WAITING: usize = 256;
/// Their bytes. One message may always wait, however large.
pub const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<F = Bytes> {
    /// The whole frame.
    pub frame: F,
    /// Its bytes.
    pub bytes: usize,
    /// What it takes of the receiver's mailbox.
    pub cost: u64,
    /// Who sent it.
    pub from: AgentId,
    /// The question that it is.
    pub ask: Option<AskId>,
}

/// See the module. In order within a lane.
#[derive(Debug)]
pub struct Outbox<F = Bytes> {
    lanes: [VecDeque<Waiting<F>>; 3],
    messages: usize,
    bytes: usize,
    /// Who found no room, and hears when there is some.
    refused: Vec<AgentId>,
}

/// How a message fared.
#[derive(Debug, PartialEq, Eq)]
pub enum Offered<F = Bytes> {
    /// It waits; these older ones were dropped for it.
    Kept(Vec<Waiting<F>>),
    /// There was no room: its sender hears of room when there is some.
    Refused,
    /// There was no room, and it is dropped.
    Dropped,
}

impl<F> Default for Outbox<F> {
    fn default() -> Self {
        let lanes = Default::default();
        Self { lanes, messages: 0, bytes: 0, refused: Vec::new() }
    }
}

impl<F> Outbox<F> {
    /// Appends a message, by the policy of its sender.
    pub fn offer(&mut self, lane: Lane, waiting: Waiting<F>, policy: WhenFull) -> Offered<F> {
        let mut dropped = Vec::new();
        while !self.has_room(waiting.bytes) {
            match policy {
                WhenFull::Refuse => {
                    if !self.refused.contains(&waiting.from) {
                        self.refused.push(waiting.from);
                    }
                    return Offered::Refused;
                }
                WhenFull::DropNewest => return Offered::Dropped,
                WhenFull::DropOldest => dropped.extend(self.drop_oldest(lane)),
            }
        }
        self.messages += 1;
        self.bytes += waiting.bytes;
        self.lanes[lane as usize].push_back(waiting);
        Offered::Kept(dropped)
    }

    /// The next message of a lane.
    #[must_use]
    pub fn front(&self, lane: Lane) -> Option<&Waiting<F>> {
        self.lanes[lane as usize].front()
    }

    /// Takes it.
    pub fn pop(&mut self, lane: Lane) -> Option<Waiting<F>> {
        let waiting = self.lanes[lane as usize].pop_front()?;
        self.messages -= 1;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Who found no room, once half of it is free.
    #[must_use]
    pub fn writable(&mut self) -> Vec<AgentId> {
        let is_half_empty = self.messages <= MAX_WAITING / 2 && self.bytes <= MAX_WAITING_BYTES / 2;
        if is_half_empty { std::mem::take(&mut self.refused) } else { Vec::new() }
    }

    /// Messages and bytes that wait.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// Whether nothing waits and nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0 && self.refused.is_empty()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.messages == 0
            || (self.messages < MAX_WAITING && self.bytes + bytes <= MAX_WAITING_BYTES)
    }

    /// The oldest of this lane; where it has none, of the least urgent that has some.
    fn drop_oldest(&mut self, lane: Lane) -> Option<Waiting<F>> {
        let lanes = [lane, Lane::Bulk, Lane::Normal, Lane::Urgent];
        lanes.into_iter().find_map(|lane| self.pop(lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(from: u64, bytes: usize) -> Waiting {
        let frame = Bytes::from(vec![0; bytes]);
        Waiting { frame, bytes, cost: bytes as u64, from: AgentId(from), ask: None }
    }

    fn full() -> Outbox {
        let mut outbox = Outbox::default();
        for from in 0..MAX_WAITING as u64 {
            let offered = outbox.offer(Lane::Normal, waiting(from, 1), WhenFull::Refuse);
            assert_eq!(offered, Offered::Kept(Vec::new()));
        }
        outbox
    }

    #[test]
    fn a_full_outbox_refuses_and_tells_of_room_at_half() {
        let mut outbox = full();
        for _ in 0..2 {
            let offered = outbox.offer(Lane::Normal, waiting(7, 1), WhenFull::Refuse);
            assert_eq!(offered, Offered::Refused);
        }
        assert!(outbox.writable().is_empty());
        while outbox.depth().0 > MAX_WAITING / 2 {
            outbox.pop(Lane::Normal).unwrap();
        }
        assert_eq!(outbox.writable(), [AgentId(7)]);
        assert!(outbox.writable().is_empty());
    }

    #[test]
    fn a_full_outbox_drops_the_newest_or_the_oldest_by_policy() {
        let mut outbox = full();
        let dropped = outbox.offer(Lane::Normal, waiting(900, 1), WhenFull::DropNewest);
        assert_eq!(dropped, Offered::Dropped);
        let kept = outbox.offer(Lane::Normal, waiting(901, 1), WhenFull::DropOldest);
        assert_eq!(kept, Offered::Kept(vec![waiting(0, 1)]));
        assert_eq!(outbox.front(Lane::Normal).map(|first| first.from), Some(AgentId(1)));
    }

    #[test]
    fn room_for_an_urgent_message_is_made_among_the_least_urgent() {
        let mut outbox = full();
        outbox.pop(Lane::Normal).unwrap();
        outbox.offer(Lane::Bulk, waiting(500, 1), WhenFull::Refuse);
        let kept = outbox.offer(Lane::Urgent, waiting(501, 1), WhenFull::DropOldest);
        assert_eq!(kept, Offered::Kept(vec![waiting(500, 1)]));
    }

    #[test]
    fn one_message_may_wait_however_large() {
        let mut outbox = Outbox::default();
        let large = waiting(1, MAX_WAITING_BYTES + 1);
        assert_eq!(outbox.offer(Lane::Bulk, large, WhenFull::Refuse), Offered::Kept(Vec::new()));
        let next = outbox.offer(Lane::Bulk, waiting(2, 1), WhenFull::Refuse);
        assert_eq!(next, Offered::Refused);
    }
}
