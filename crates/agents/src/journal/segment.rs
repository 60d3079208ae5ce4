//! One file of the log, and the steps by which the next one comes into being.

use std::io;

use super::disk::{Disk, DiskFile, is_full};
use super::error::{OpenError, SyncError};
use super::format::{
    Entry, GROUP_HEAD, GroupHead, Kind, Position, SEAL, SEGMENT_HEAD, SegmentHead, draft_name,
    segment_name,
};

/// The segment that is written to.
pub(super) struct Segment {
    pub number: u64,
    /// All before is synced; what comes next is written there.
    pub length: u64,
    /// What it may grow to.
    room: u64,
    file: Box<dyn DiskFile>,
}

/// Something that the disk refused.
#[derive(Debug)]
pub(super) struct Failure {
    verb: &'static str,
    name: String,
    source: io::Error,
    /// There was no room, and nothing has changed.
    is_full: bool,
}

impl Segment {
    /// Makes a segment: under another name, until its head is on the disk. So a segment that is
    /// there is whole, and one whose head is damaged was damaged later.
    pub(super) fn create(disk: &dyn Disk, head: SegmentHead, room: u64) -> Result<Self, Failure> {
        let draft = draft_name(head.number);
        let name = segment_name(head.number);
        let step = |verb| move |source| Failure::new(verb, draft_name(head.number), source);
        let drafted = || {
            let mut file = disk.open(&draft).map_err(step("make"))?;
            // It may be left over from an attempt that found the disk full.
            file.truncate(0).map_err(step("empty"))?;
            file.reserve(room).map_err(step("reserve room for"))?;
            file.append(&head.encode()).map_err(step("write"))?;
            file.sync().map_err(|source| step("sync")(source).finally())?;
            disk.rename(&draft, &name).map_err(step("rename"))?;
            Ok(file)
        };
        let file = drafted().inspect_err(|failure: &Failure| {
            if failure.is_full {
                // If it stays, it is emptied at the next attempt or removed at the next start.
                let _ = disk.remove(&draft);
            }
        })?;
        disk.sync_names().map_err(|source| Failure::new("sync", name, source).finally())?;
        Ok(Self { number: head.number, length: SEGMENT_HEAD as u64, room, file })
    }

    /// Opens the segment where recovery found the log's end, and cuts off what lies behind.
    pub(super) fn open(
        disk: &dyn Disk,
        number: u64,
        length: u64,
        room: u64,
    ) -> Result<Self, Failure> {
        let name = segment_name(number);
        let step = |verb| {
            let name = name.clone();
            move |source| Failure::new(verb, name, source).finally()
        };
        let mut file = disk.open(&name).map_err(step("open"))?;
        file.truncate(length).map_err(step("cut"))?;
        // What was read may never have been synced; from now on it counts as durable.
        file.sync().map_err(step("sync"))?;
        match file.reserve(room) {
            // Then a full disk shows while writing, and the half-written group is cut off.
            Err(source) if is_full(&source) => {}
            reserved => reserved.map_err(step("reserve room for"))?,
        }
        Ok(Self { number, length, room, file })
    }

    /// Whether a group of so many bytes fits, and a seal behind it.
    pub(super) fn has_room(&self, group: u64) -> bool {
        self.length + group + SEAL as u64 <= self.room
    }

    /// Where the next group goes.
    pub(super) fn end(&self, log_id: u64) -> Position {
        Position { log_id, segment: self.number, offset: self.length }
    }

    /// Writes and syncs a group. If there is no room for it, nothing of it stays.
    pub(super) fn write(&mut self, group: &[u8]) -> Result<(), Failure> {
        let step = |verb, source| Failure::new(verb, segment_name(self.number), source);
        if let Err(source) = self.file.append(group) {
            if is_full(&source) {
                let cut = self.file.truncate(self.length);
                cut.map_err(|source| step("cut", source).finally())?;
            }
            return Err(step("write", source));
        }
        // Whatever the reason: after a sync that failed, nobody knows what is on the disk, and the
        // next one may succeed without having written it.
        self.file.sync().map_err(|source| step("sync", source).finally())?;
        self.length += group.len() as u64;
        Ok(())
    }

    /// Ends the segment for good, and gives back the room that was reserved for more.
    pub(super) fn seal(&mut self, log_id: u64, chain: u32) -> Result<(), Failure> {
        let mut group = vec![0; GROUP_HEAD];
        let seal = Entry { kind: Kind::Seal, agent: self.number + 1, payload: &[] };
        seal.push(&mut group, &mut chain.clone());
        let length = (group.len() - GROUP_HEAD) as u32;
        let head = GroupHead { length, chain }.encode(self.end(log_id));
        group[..GROUP_HEAD].copy_from_slice(&head);
        self.write(&group)?;
        let cut = self.file.truncate(self.length);
        cut.map_err(|source| Failure::new("cut", segment_name(self.number), source).finally())
    }
}

impl Failure {
    fn new(verb: &'static str, name: String, source: io::Error) -> Self {
        let is_full = is_full(&source);
        Self { verb, name, source, is_full }
    }

    /// Trying again cannot help, though the disk were only full.
    fn finally(self) -> Self {
        Self { is_full: false, ..self }
    }

    pub(super) fn into_sync(self, disk: &dyn Disk, needed: u64) -> SyncError {
        let Self { verb, name, source, is_full } = self;
        let place = disk.place();
        if is_full {
            return SyncError::Full { place, needed };
        }
        SyncError::Io { verb, place, name, source }
    }

    pub(super) fn into_open(self, disk: &dyn Disk, needed: u64) -> OpenError {
        let Self { verb, name, source, is_full } = self;
        let place = disk.place();
        if is_full {
            return OpenError::Full { place, needed };
        }
        OpenError::Io { verb, place, name, source }
    }
}
