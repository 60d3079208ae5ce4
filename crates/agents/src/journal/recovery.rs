//! Reads a log back, and tells what a crash left behind from what is corrupt.
//!
//! The rules, and why they are enough, are in `docs/design/0004-journal.md`.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::{Damage, OpenError};
use super::format::{
    Entry, GROUP_HEAD, GROUP_MAGIC, GroupHead, Kind, NoEntry, NoHead, Position, SEGMENT_HEAD,
    SegmentHead, draft_name, parse_name, segment_name,
};
use super::index::{Index, Place};
use super::options::{MAX_GROUP, Options};
use super::segment::{Failure, Segment};
use super::window::Window;

/// What a journal held when it was opened. All of it is on the disk.
#[derive(Debug, Default)]
pub struct Recovered {
    /// By agent. Those that were forgotten are not there.
    pub agents: BTreeMap<u64, AgentLog>,
    /// What a crash had left half-written, and was cut off: none of it was acknowledged.
    pub torn: Option<TornTail>,
    /// There was no log: it was made. A node that has lived before has lost its past.
    pub is_new: bool,
}

/// What an agent wrote since its last snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentLog {
    /// The last snapshot, if there was one.
    pub snapshot: Option<Bytes>,
    /// What was recorded after it, in order.
    pub records: Vec<Bytes>,
}

/// The end of a log that a crash left half-written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TornTail {
    /// The number of the last segment.
    pub segment: u64,
    /// Where it was cut.
    pub offset: u64,
    /// Bytes that were cut off.
    pub bytes: u64,
}

/// What reading found, and what is to be mended before the log goes on.
pub(super) struct Replay<'a> {
    disk: &'a dyn Disk,
    pub recovered: Recovered,
    pub index: Index,
    pub log_id: u64,
    /// Lengths by number; the last one goes on.
    pub segments: BTreeMap<u64, u64>,
    /// The oldest segment that is needed.
    pub oldest: u64,
    /// The chain at the end.
    pub chain: u32,
    /// Files to remove.
    pub leftovers: Vec<String>,
}

/// How a segment ends.
enum End {
    /// With a seal.
    Sealed,
    /// It goes on there.
    Open,
    /// What follows is no group, and nothing shows that it ever was one.
    Torn,
}

impl<'a> Replay<'a> {
    /// Reads everything. Without any segment, `segments` is empty.
    pub(super) fn read(disk: &'a dyn Disk, options: &Options) -> Result<Self, OpenError> {
        let index = Index::new(options.carry_bytes, options.agent_bytes);
        let mut replay = Self {
            disk,
            recovered: Recovered::default(),
            index,
            log_id: options.log_id,
            segments: BTreeMap::new(),
            oldest: 1,
            chain: 0,
            leftovers: Vec::new(),
        };
        let run = replay.find_segments()?;
        let Some((first, last)) = run else {
            replay.recovered.is_new = true;
            return Ok(replay);
        };
        for number in first..=last {
            // The last one may be left over from a roll-over that did not come to its end.
            if !replay.leftovers.contains(&segment_name(number)) {
                replay.read_segment(number, first, last)?;
            }
        }
        if replay.oldest < first {
            return Err(replay.corrupt(first - 1, 0, Damage::Missing));
        }
        Ok(replay)
    }

    /// The last run of segments without a gap. What lies before it was removed, but for some names
    /// that came back; whether it had to be there shows at the end.
    fn find_segments(&mut self) -> Result<Option<(u64, u64)>, OpenError> {
        let names = self.disk.list().map_err(|error| self.io("list", "", error))?;
        let drafts = names.iter().filter(|name| parse_name(name, draft_name).is_some());
        self.leftovers.extend(drafts.cloned());
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| parse_name(name, segment_name)).collect();
        numbers.sort_unstable();
        let Some(&last) = numbers.last() else { return Ok(None) };
        let mut first = last;
        for &number in numbers.iter().rev().skip(1) {
            if number + 1 == first {
                first = number;
            } else {
                self.leftovers.push(segment_name(number));
            }
        }
        Ok(Some((first, last)))
    }

    fn read_segment(&mut self, number: u64, first: u64, last: u64) -> Result<(), OpenError> {
        let name = segment_name(number);
        let mut window = Window::new(self.disk, &name);
        self.read_head(&mut window, number, number == first)?;
        let mut offset = SEGMENT_HEAD as u64;
        let end = loop {
            if let Some(end) = self.read_group(&mut window, number, &mut offset)? {
                break end;
            }
        };
        let length = window.end(offset).map_err(|error| self.io("read", &name, error))?;
        // A segment is used only after the one before it has been sealed and synced.
        let is_last = number == last || (number + 1 == last && self.is_unused(last)?);
        match end {
            End::Sealed if length > offset => {
                return Err(self.corrupt(number, offset, Damage::Trailing));
            }
            End::Sealed if number == last => {
                return Err(self.corrupt(number + 1, 0, Damage::Missing));
            }
            End::Sealed => {}
            End::Open if !is_last => return Err(self.corrupt(number, offset, Damage::Unsealed)),
            End::Torn if !is_last => return Err(self.corrupt(number, offset, Damage::Middle)),
            End::Torn if self.was_synced(&mut window, number, offset)? => {
                return Err(self.corrupt(number, offset, Damage::Middle));
            }
            End::Open | End::Torn => self.end_at(number, offset, length, last),
        }
        self.segments.insert(number, offset);
        Ok(())
    }

    /// Makes what was read durable and the log ready to go on: removes what is not needed, cuts
    /// off what is torn. A crash in between is harmless, since reading again finds the same.
    pub(super) fn mend(&mut self, options: &Options) -> Result<Segment, OpenError> {
        let dead = self.segments.range(..self.oldest).map(|(number, _)| segment_name(*number));
        self.leftovers.extend(dead);
        self.segments = self.segments.split_off(&self.oldest);
        let room = options.room_for(0);
        let failed = |failure: Failure| failure.into_open(self.disk, room);
        let active = match self.segments.last_key_value() {
            None => {
                self.remove_leftovers()?;
                let head = SegmentHead { log_id: self.log_id, number: 1, chain: 0 };
                Segment::create(self.disk, head, room).map_err(failed)?
            }
            Some((&number, &length)) => {
                self.sync_sealed(number - 1)?;
                let active = Segment::open(self.disk, number, length, room).map_err(failed)?;
                // Not before: what makes them superfluous may not have been on the disk.
                self.remove_leftovers()?;
                active
            }
        };
        self.disk.sync_names().map_err(|error| self.io("sync", "", error))?;
        self.segments.insert(active.number, active.length);
        Ok(active)
    }

    fn remove_leftovers(&self) -> Result<(), OpenError> {
        self.leftovers.iter().try_for_each(|name| {
            self.disk.remove(name).map_err(|error| self.io("remove", name, error))
        })
    }

    /// The last segment may be used as soon as the seal before it is on the disk, and it may have
    /// been read from memory.
    fn sync_sealed(&self, number: u64) -> Result<(), OpenError> {
        if !self.segments.contains_key(&number) {
            return Ok(());
        }
        let name = segment_name(number);
        let synced = self.disk.open(&name).and_then(|mut file| file.sync());
        synced.map_err(|error| self.io("sync", &name, error))
    }

    fn read_head(
        &mut self,
        window: &mut Window<'_>,
        number: u64,
        is_first: bool,
    ) -> Result<(), OpenError> {
        let name = segment_name(number);
        let bytes = window.at(0, SEGMENT_HEAD).map_err(|error| self.io("read", &name, error))?;
        let head = self.decode_head(bytes, number)?;
        if is_first {
            self.log_id = head.log_id;
            self.chain = head.chain;
        }
        if head.number != number || head.log_id != self.log_id {
            return Err(self.corrupt(number, 0, Damage::Stranger));
        }
        if head.chain != self.chain {
            return Err(self.corrupt(number, 0, Damage::Unchained));
        }
        Ok(())
    }

    fn decode_head(&self, bytes: &[u8], number: u64) -> Result<SegmentHead, OpenError> {
        SegmentHead::decode(bytes).map_err(|why| match why {
            NoHead::Damaged => self.corrupt(number, 0, Damage::Head),
            NoHead::Version(found) => {
                let (place, name) = (self.disk.place(), segment_name(number));
                OpenError::Version { place, name, found }
            }
        })
    }

    /// Takes in the group at `offset`, whole or not at all, and moves behind it.
    fn read_group(
        &mut self,
        window: &mut Window<'_>,
        number: u64,
        offset: &mut u64,
    ) -> Result<Option<End>, OpenError> {
        let name = segment_name(number);
        let bytes =
            window.at(*offset, GROUP_HEAD).map_err(|error| self.io("read", &name, error))?;
        if bytes.is_empty() {
            return Ok(Some(End::Open));
        }
        let Some(head) = GroupHead::decode(bytes, self.position(number, *offset)) else {
            return Ok(Some(End::Torn));
        };
        // Checked before anything is allocated for it.
        if head.length as usize > MAX_GROUP {
            return Err(self.corrupt(number, *offset, Damage::Unknown));
        }
        if head.chain != self.chain {
            return Err(self.corrupt(number, *offset, Damage::Unchained));
        }
        let start = *offset + GROUP_HEAD as u64;
        let body = window.at(start, head.length as usize);
        let body = body.map_err(|error| self.io("read", &name, error))?;
        if body.len() < head.length as usize {
            return Ok(Some(End::Torn));
        }
        match check_group(body, self.chain, number) {
            Ok(()) => {}
            Err(NoEntry::Damaged) => return Ok(Some(End::Torn)),
            Err(NoEntry::Unknown) => return Err(self.corrupt(number, *offset, Damage::Unknown)),
        }
        *offset = start + u64::from(head.length);
        Ok(self.take_group(body, number, start).then_some(End::Sealed))
    }

    /// Takes in a group that was checked; whether it seals the segment.
    fn take_group(&mut self, mut body: &[u8], segment: u64, start: u64) -> bool {
        let length = body.len();
        while !body.is_empty() {
            let chain = self.chain;
            let offset = start + (length - body.len()) as u64;
            let entry = Entry::take(&mut body, &mut self.chain).expect("the group was checked");
            let place = Place { segment, offset, length: entry.payload.len() as u32, chain };
            self.index.apply(entry.kind, entry.agent, place);
            match entry.kind {
                Kind::Record => {
                    let log = self.recovered.agents.entry(entry.agent).or_default();
                    log.records.push(Bytes::copy_from_slice(entry.payload));
                }
                Kind::Snapshot => {
                    let snapshot = Some(Bytes::copy_from_slice(entry.payload));
                    let log = AgentLog { snapshot, records: Vec::new() };
                    self.recovered.agents.insert(entry.agent, log);
                }
                Kind::Forget | Kind::Restart => {
                    self.recovered.agents.remove(&entry.agent);
                }
                Kind::Trim => self.oldest = self.oldest.max(entry.agent),
                Kind::Seal => {
                    // A seal is a branch: what follows in the next segment hangs on what is
                    // before it, since it may have to be written twice.
                    self.chain = chain;
                    return true;
                }
            }
        }
        false
    }

    /// Whether a group lies behind `offset`: one is written only after all before it was synced.
    fn was_synced(
        &self,
        window: &mut Window<'_>,
        number: u64,
        mut offset: u64,
    ) -> Result<bool, OpenError> {
        let name = segment_name(number);
        let failed = |error| self.io("read", &name, error);
        while let Some(found) = window.find(&GROUP_MAGIC, offset + 1).map_err(failed)? {
            let bytes = window.at(found, GROUP_HEAD).map_err(failed)?;
            if GroupHead::decode(bytes, self.position(number, found)).is_some() {
                return Ok(true);
            }
            offset = found;
        }
        Ok(false)
    }

    /// Whether a segment holds no more than its head.
    fn is_unused(&self, number: u64) -> Result<bool, OpenError> {
        let name = segment_name(number);
        let bytes = self.disk.read(&name, 0, SEGMENT_HEAD + 1);
        let bytes = bytes.map_err(|error| self.io("read", &name, error))?;
        self.decode_head(&bytes, number)?;
        Ok(bytes.len() == SEGMENT_HEAD)
    }

    /// The log goes on at `offset` of segment `number`.
    fn end_at(&mut self, number: u64, offset: u64, length: u64, last: u64) {
        if length > offset {
            let torn = TornTail { segment: number, offset, bytes: length - offset };
            self.recovered.torn = Some(torn);
        }
        if number != last {
            self.leftovers.push(segment_name(last));
        }
    }

    fn position(&self, segment: u64, offset: u64) -> Position {
        Position { log_id: self.log_id, segment, offset }
    }

    fn corrupt(&self, segment: u64, offset: u64, damage: Damage) -> OpenError {
        let (place, name) = (self.disk.place(), segment_name(segment));
        OpenError::Corrupt { place, name, segment, offset, damage }
    }

    fn io(&self, verb: &'static str, name: &str, source: io::Error) -> OpenError {
        OpenError::Io { verb, place: self.disk.place(), name: name.to_owned(), source }
    }
}

/// Whether all entries of a group are what was written, and can mean something.
fn check_group(mut body: &[u8], mut chain: u32, segment: u64) -> Result<(), NoEntry> {
    let mut is_sealed = false;
    while !body.is_empty() {
        let entry = Entry::take(&mut body, &mut chain)?;
        let has_meaning = match entry.kind {
            Kind::Trim => entry.agent <= segment,
            Kind::Seal => segment.checked_add(1) == Some(entry.agent),
            _ => true,
        };
        if is_sealed || !has_meaning {
            return Err(NoEntry::Unknown);
        }
        is_sealed = entry.kind == Kind::Seal;
    }
    Ok(())
}
