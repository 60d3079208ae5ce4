//! The one order as a member knows it: what has which place, what of it is here, what was delivered.

use std::collections::{BTreeMap, VecDeque};

use dx_agents::AgentId;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, BatchId, Entry};
use crate::view::{Life, View};

/// Of each origin, the latest life and batch up to some place.
pub type Origins = BTreeMap<AgentId, (Life, u64)>;

/// What the order amounts to up to the last delivery. Whoever joins gets it, with the
/// application's snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Places delivered.
    pub seq: u64,
    /// Messages delivered.
    pub index: u64,
    /// The view in effect.
    pub effect: Option<View>,
    /// The latest batches of all origins.
    pub origins: Origins,
    /// Messages of which not all has come.
    pub parts: BTreeMap<AgentId, Vec<u8>>,
}

/// See the module. Places count from 1.
#[derive(Debug, Default)]
pub struct Log {
    at: Position,
    /// The place before the first entry.
    base: u64,
    entries: VecDeque<Entry>,
    batches: BTreeMap<BatchId, Batch>,
    /// Batches by origin.
    kept: BTreeMap<AgentId, u32>,
    held: u64,
    held_bytes: u64,
    /// As `at.origins`, at the end.
    ordered: Origins,
}

impl Log {
    /// Up to where it was delivered, and what that amounts to.
    #[must_use]
    pub fn at(&self) -> &Position {
        &self.at
    }

    /// The last place that has something.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The first place that is still known.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.base + 1
    }

    /// The place up to which everything is here, contiguously.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Bytes of all batches that `held` has passed.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// What has place `seq`, if it is still known.
    #[must_use]
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.checked_sub(self.base + 1)?).ok()?)
    }

    /// The latest batch of an origin that has a place.
    #[must_use]
    pub fn ordered(&self, origin: AgentId, life: Life) -> u64 {
        self.ordered.get(&origin).filter(|(it, _)| *it == life).map_or(0, |(_, sn)| *sn)
    }

    /// The payload of a batch, if it is here.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&Batch> {
        self.batches.get(&id)
    }

    /// The names of all payload that is here.
    pub fn batches(&self) -> impl Iterator<Item = BatchId> {
        self.batches.keys().copied()
    }

    /// Origins of payload that not all hold yet; one at least.
    #[must_use]
    pub fn active(&self) -> usize {
        self.kept.len().max(1)
    }

    /// Payload came.
    pub fn store(&mut self, batch: Batch) {
        let id = batch.id;
        if self.batches.insert(id, batch).is_none() {
            *self.kept.entry(id.origin).or_default() += 1;
        }
        self.advance();
    }

    /// The next place is given.
    pub fn append(&mut self, entry: Entry) {
        note(&mut self.ordered, &entry);
        self.entries.push_back(entry);
        self.advance();
    }

    /// What comes after the last delivery is replaced, by the decision of a new view.
    pub fn replace(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let keep = self.at.seq.saturating_sub(self.base) as usize;
        self.entries.truncate(keep);
        self.held = self.at.seq;
        self.ordered = self.at.origins.clone();
        for entry in entries {
            note(&mut self.ordered, &entry);
            self.entries.push_back(entry);
        }
        self.advance();
    }

    /// Begins at a position that another member had reached.
    pub fn jump(&mut self, to: Position) {
        self.base = to.seq;
        self.held = to.seq;
        self.entries.clear();
        self.ordered = to.origins.clone();
        self.at = to;
    }

    /// The next entry counts as delivered, if it is here; returned with its payload.
    pub fn deliver(&mut self) -> Option<(Entry, Option<Batch>)> {
        if self.at.seq >= self.held {
            return None;
        }
        let entry = self.entry(self.at.seq + 1)?.clone();
        self.at.seq += 1;
        note(&mut self.at.origins, &entry);
        let batch = match &entry {
            Entry::Batch(id) => self.batches.get(id).cloned(),
            Entry::View(view) => {
                self.at.effect = Some(view.clone());
                // Who began anew finishes no message of its former life. Who is only away does.
                let origins = &self.at.origins;
                self.at.parts.retain(|id, _| {
                    let life = origins.get(id).map(|(life, _)| *life);
                    view.seat(*id).map(|seat| seat.life) == life
                });
                None
            }
        };
        Some((entry, batch))
    }

    /// A message is complete: its number.
    pub fn count(&mut self) -> u64 {
        self.at.index += 1;
        self.at.index
    }

    /// The unfinished message of an origin.
    pub fn part(&mut self, origin: AgentId) -> &mut Vec<u8> {
        self.at.parts.entry(origin).or_default()
    }

    /// The message of an origin is complete: what came before its last piece.
    pub fn whole(&mut self, origin: AgentId) -> Option<Vec<u8>> {
        self.at.parts.remove(&origin)
    }

    /// All members hold everything up to `seq`: what was delivered, too, is forgotten. Returns
    /// the names of the batches.
    pub fn forget(&mut self, seq: u64) -> Vec<BatchId> {
        let mut gone = Vec::new();
        while self.base < seq.min(self.at.seq) {
            let Some(entry) = self.entries.pop_front() else { break };
            self.base += 1;
            if let Entry::Batch(id) = entry {
                self.drop_batch(id);
                gone.push(id);
            }
        }
        gone
    }

    /// Payload without a place is forgotten: its origin sends it again in the new view.
    pub fn forget_unordered(&mut self) {
        let ordered: std::collections::BTreeSet<BatchId> =
            self.entries.iter().filter_map(id_of).collect();
        let unordered: Vec<BatchId> = self.batches().filter(|id| !ordered.contains(id)).collect();
        for id in unordered {
            self.drop_batch(id);
        }
    }

    fn drop_batch(&mut self, id: BatchId) {
        if self.batches.remove(&id).is_some()
            && let Some(count) = self.kept.get_mut(&id.origin)
        {
            *count -= 1;
            if *count == 0 {
                self.kept.remove(&id.origin);
            }
        }
    }

    fn advance(&mut self) {
        while let Some(entry) = self.entry(self.held + 1) {
            if let Some(id) = id_of(entry) {
                let Some(batch) = self.batches.get(&id) else { return };
                self.held_bytes += batch.bytes.len() as u64;
            }
            self.held += 1;
        }
    }
}

fn id_of(entry: &Entry) -> Option<BatchId> {
    match entry {
        Entry::Batch(id) => Some(*id),
        Entry::View(_) => None,
    }
}

fn note(origins: &mut Origins, entry: &Entry) {
    if let Entry::Batch(id) = entry {
        origins.insert(id.origin, (id.life, id.sn));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::batch::Cuts;
    use crate::view::{Seat, Standing, ViewId};

    const ORIGIN: AgentId = AgentId(1);

    fn life(node: u64) -> Life {
        Life { node, restarts: 0 }
    }

    fn batch(sn: u64, bytes: &'static [u8], goes_on: bool) -> Batch {
        let id = BatchId { origin: ORIGIN, life: life(1), sn };
        let cuts = Cuts { lens: vec![bytes.len() as u32], goes_on };
        Batch { id, cuts, bytes: Bytes::from_static(bytes) }
    }

    fn view(number: u64, is_in: bool, life: Life) -> Entry {
        let seat = Seat { id: ORIGIN, life, standing: Standing::Voter, is_in };
        let id = ViewId { number, coordinator: AgentId(2), life };
        Entry::View(View { id, is_founding: false, roll: vec![seat] })
    }

    #[test]
    fn what_lacks_payload_or_place_is_not_held() {
        let mut log = Log::default();
        let batches = [1, 2, 3].map(|sn| batch(sn, b"x", false));
        log.append(Entry::Batch(batches[0].id));
        log.store(batches[1].clone());
        assert_eq!((log.held(), log.end()), (0, 1));
        log.store(batches[0].clone());
        assert_eq!(log.held(), 1);
        log.append(Entry::Batch(batches[1].id));
        log.append(Entry::Batch(batches[2].id));
        assert_eq!((log.held(), log.end()), (2, 3));
        assert!(log.deliver().is_some() && log.deliver().is_some() && log.deliver().is_none());
    }

    #[test]
    fn nothing_is_forgotten_before_it_is_delivered_here() {
        let mut log = Log::default();
        for sn in 1..=3 {
            let batch = batch(sn, b"x", false);
            log.append(Entry::Batch(batch.id));
            log.store(batch);
        }
        log.deliver();
        assert_eq!(log.forget(3).len(), 1);
        assert_eq!((log.first(), log.end(), log.batches().count()), (2, 3, 2));
    }

    /// Found with seed 19: the beginning was dropped while its origin was not in the view.
    #[test]
    fn an_unfinished_message_waits_for_its_origin_but_not_for_its_former_life() {
        for (next, is_kept) in [(life(1), true), (life(2), false)] {
            let mut log = Log::default();
            let first = batch(1, b"begin", true);
            log.append(Entry::Batch(first.id));
            log.store(first);
            log.append(view(2, false, life(1)));
            log.append(view(3, true, next));
            log.deliver();
            log.part(ORIGIN).extend_from_slice(b"begin");
            log.deliver();
            assert!(log.at().parts.contains_key(&ORIGIN));
            log.deliver();
            assert_eq!(log.whole(ORIGIN).is_some(), is_kept);
        }
    }

    #[test]
    fn a_decision_replaces_what_was_not_delivered() {
        let mut log = Log::default();
        for sn in 1..=3 {
            let batch = batch(sn, b"x", false);
            log.append(Entry::Batch(batch.id));
            log.store(batch);
        }
        log.deliver();
        log.replace([Entry::Batch(batch(2, b"x", false).id), view(2, true, life(1))]);
        assert_eq!((log.held(), log.end(), log.ordered(ORIGIN, life(1))), (3, 3, 2));
        log.forget_unordered();
        assert_eq!(log.batches().count(), 2);
    }
}
