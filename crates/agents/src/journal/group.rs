//! What goes to the disk with the next sync.

use super::format::{Entry, GROUP_HEAD, GroupHead, Kind, Position};
use super::index::Place;

/// A group that is being put together.
pub(super) struct Group {
    /// Room for the head, then the entries.
    bytes: Vec<u8>,
    entries: Vec<Pending>,
    /// How many bytes are the log's own: what it says of itself and carries forward.
    own: usize,
    /// The chain before the first entry.
    chain_before: u32,
    /// The chain behind the last entry.
    chain: u32,
}

struct Pending {
    kind: Kind,
    agent: u64,
    place: Place,
}

/// Memory that an empty group keeps. A guess; a larger one is given back.
const KEPT: usize = 1 << 20;

impl Group {
    /// An empty one.
    pub(super) fn after(chain: u32) -> Self {
        let bytes = vec![0; GROUP_HEAD];
        Self { bytes, entries: Vec::new(), own: GROUP_HEAD, chain_before: chain, chain }
    }

    pub(super) fn push(&mut self, kind: Kind, agent: u64, payload: &[u8]) {
        let (offset, chain) = (self.bytes.len() as u64, self.chain);
        Entry { kind, agent, payload }.push(&mut self.bytes, &mut self.chain);
        let place = Place { segment: 0, offset, length: payload.len() as u32, chain };
        self.entries.push(Pending { kind, agent, place });
    }

    /// What is there now is the log's own.
    pub(super) fn disown(&mut self) {
        self.own = self.bytes.len();
    }

    /// Bytes that were appended by agents.
    pub(super) fn appended(&self) -> usize {
        self.bytes.len() - self.own
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The chain it goes on from.
    pub(super) fn chain_before(&self) -> u32 {
        self.chain_before
    }

    /// The bytes as they are to stand at that place.
    pub(super) fn seal(&mut self, at: Position) -> &[u8] {
        let length = (self.bytes.len() - GROUP_HEAD) as u32;
        let head = GroupHead { length, chain: self.chain_before }.encode(at);
        self.bytes[..GROUP_HEAD].copy_from_slice(&head);
        &self.bytes
    }

    /// Empties it, and tells what was in it and where, since it was written to `start` of a segment.
    pub(super) fn settle(
        &mut self,
        segment: u64,
        start: u64,
    ) -> impl Iterator<Item = (Kind, u64, Place)> {
        self.bytes.truncate(GROUP_HEAD);
        self.bytes.shrink_to(KEPT);
        self.chain_before = self.chain;
        self.own = GROUP_HEAD;
        self.entries.drain(..).map(move |Pending { kind, agent, place }| {
            (kind, agent, Place { segment, offset: start + place.offset, ..place })
        })
    }
}
