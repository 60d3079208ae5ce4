//! What of the log is still needed: per agent, since when and how much.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::Disk;
use super::error::SyncError;
use super::format::{ENTRY_HEAD, Entry, Kind, segment_name};

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub segment: u64,
    pub offset: u64,
    pub length: u32,
    /// The chain before it, without which it cannot be checked.
    pub chain: u32,
}

impl Place {
    /// Bytes of head and payload.
    pub(super) fn size(&self) -> u64 {
        ENTRY_HEAD as u64 + u64::from(self.length)
    }

    /// Reads it back.
    pub(super) fn read(&self, disk: &dyn Disk) -> Result<Vec<u8>, SyncError> {
        let name = segment_name(self.segment);
        let bytes = disk.read(&name, self.offset, self.size() as usize);
        let place = || disk.place();
        bytes.map_err(|source| SyncError::Io { verb: "read", place: place(), name, source })
    }

    /// The entry that was read back, if it is still what was written.
    pub(super) fn check<'a>(
        &self,
        disk: &dyn Disk,
        mut bytes: &'a [u8],
    ) -> Result<Entry<'a>, SyncError> {
        Entry::take(&mut bytes, &mut self.chain.clone()).map_err(|_| SyncError::Corrupt {
            place: disk.place(),
            name: segment_name(self.segment),
            offset: self.offset,
        })
    }
}

/// What is needed of one agent.
#[derive(Debug)]
struct Live {
    /// The segment of its first needed entry.
    first: u64,
    bytes: u64,
    /// Bytes of records since the snapshot.
    since_snapshot: u64,
    /// Its needed entries, as long as they are few enough to be carried forward.
    places: Option<Vec<Place>>,
}

/// The needed entries of all agents.
#[derive(Debug)]
pub(super) struct Index {
    carry_bytes: u64,
    agent_bytes: u64,
    agents: BTreeMap<u64, Live>,
    /// By segment: the agents whose first needed entry it holds.
    pinned: BTreeMap<u64, BTreeSet<u64>>,
    /// Agents with more records than `agent_bytes`.
    long: BTreeSet<u64>,
    bytes: u64,
}

impl Index {
    pub(super) fn new(carry_bytes: u64, agent_bytes: u64) -> Self {
        let (agents, pinned, long) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { carry_bytes, agent_bytes, agents, pinned, long, bytes: 0 }
    }

    /// An entry is on the disk.
    pub(super) fn apply(&mut self, kind: Kind, agent: u64, place: Place) {
        match kind {
            Kind::Record => self.add(agent, place, place.size()),
            Kind::Snapshot => {
                self.forget(agent);
                self.add(agent, place, 0);
            }
            Kind::Forget | Kind::Restart => self.forget(agent),
            Kind::Trim | Kind::Seal => {}
        }
    }

    fn add(&mut self, agent: u64, place: Place, record_bytes: u64) {
        let live = self.agents.entry(agent).or_insert_with(|| {
            self.pinned.entry(place.segment).or_default().insert(agent);
            Live { first: place.segment, bytes: 0, since_snapshot: 0, places: Some(Vec::new()) }
        });
        live.bytes += place.size();
        live.since_snapshot += record_bytes;
        self.bytes += place.size();
        match &mut live.places {
            Some(places) if live.bytes <= self.carry_bytes => places.push(place),
            places => *places = None,
        }
        if live.since_snapshot > self.agent_bytes {
            self.long.insert(agent);
        }
    }

    fn forget(&mut self, agent: u64) {
        let Some(live) = self.agents.remove(&agent) else { return };
        self.bytes -= live.bytes;
        self.long.remove(&agent);
        let pinned = self.pinned.get_mut(&live.first).expect("each agent pins its first segment");
        pinned.remove(&agent);
        if pinned.is_empty() {
            self.pinned.remove(&live.first);
        }
    }

    /// The oldest segment that is needed.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.pinned.first_key_value().map(|(segment, _)| *segment)
    }

    /// The agents that need the oldest segment: what is to be carried forward of each, or none if
    /// that is too much.
    pub(super) fn in_oldest(&self) -> impl Iterator<Item = (u64, Option<&[Place]>)> {
        let pinned = self.pinned.first_key_value().map(|(_, agents)| agents);
        pinned.into_iter().flatten().map(|agent| (*agent, self.agents[agent].places.as_deref()))
    }

    /// Agents with more records than the bound.
    pub(super) fn long(&self) -> impl Iterator<Item = u64> {
        self.long.iter().copied()
    }

    /// Whether an agent has more records than the bound.
    pub(super) fn is_long(&self, agent: u64) -> bool {
        self.long.contains(&agent)
    }

    /// Bytes that are needed, in all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Agents that have a log.
    pub(super) fn len(&self) -> usize {
        self.agents.len()
    }
}
