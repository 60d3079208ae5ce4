//! The journal: an append-only log of what agents must not forget, one per node.
//!
//! Agents append records; a snapshot replaces all that its agent wrote before. What was appended
//! since the last sync goes to the disk as one *group*, with one write and one fdatasync, and is
//! there after a crash as a whole or not at all. [`Journal`] is synchronous and knows no clock and
//! no thread, so that a simulator drives the very code that runs in production; [`Committer`] is
//! the thread that drives it there.
//!
//! ```text
//! Committer    one thread: a commit starts when the one before it returns
//!   Journal    groups, segments, what is still needed, carrying it forward
//!     Disk     StdDisk: a folder; in tests a model that loses and tears
//! ```
//!
//! A crash may leave the last group half-written; it is cut off and reported. Anything else that
//! is not as it was written stops the node ([`OpenError::Corrupt`]). What it is not: a database, a
//! replicated log, or a lock against a second process in the same folder.
//!
//! ```
//! use std::sync::Arc;
//! use dx_agents::journal::{Entry, Journal, Options, StdDisk};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let disk = Arc::new(StdDisk::new(folder.path().join("journal"))?);
//! let (mut journal, _) = Journal::open(disk.clone(), Options::new(0x5eed))?;
//! journal.append(7, Entry::Record(b"seven began"))?;
//! journal.sync()?; // from here on it survives
//! drop(journal);
//!
//! let (_, recovered) = Journal::open(disk, Options::new(0))?;
//! assert_eq!(*recovered.agents[&7].records[0], *b"seven began");
//! # Ok(()) }
//! ```

mod committer;
mod disk;
mod error;
mod format;
mod group;
mod index;
mod options;
mod recovery;
mod segment;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use committer::{Backlog, Commit, Committer, Refused, Ticket};
pub use disk::{Disk, DiskFile, StdDisk};
pub use error::{AppendError, Damage, OpenError, SyncError};
pub use options::Options;
pub use recovery::{AgentLog, Recovered, TornTail};

use format::{ENTRY_HEAD, Kind, SegmentHead, segment_name};
use group::Group;
use index::{Index, Place};
use recovery::Replay;
use segment::{Failure, Segment};

/// What an agent appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<B> {
    /// One more record.
    Record(B),
    /// The agent's state: what it wrote before is not needed any more.
    Snapshot(B),
    /// The agent is gone for good, with all that it wrote.
    Forget,
}

impl<B: AsRef<[u8]>> Entry<B> {
    /// The same, borrowed.
    pub fn as_ref(&self) -> Entry<&[u8]> {
        match self {
            Self::Record(bytes) => Entry::Record(bytes.as_ref()),
            Self::Snapshot(bytes) => Entry::Snapshot(bytes.as_ref()),
            Self::Forget => Entry::Forget,
        }
    }

    /// What it holds; nothing, if the agent is gone.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Record(bytes) | Self::Snapshot(bytes) => bytes.as_ref(),
            Self::Forget => &[],
        }
    }
}

/// The log of a node, open for writing.
pub struct Journal {
    disk: Arc<dyn Disk>,
    options: Options,
    log_id: u64,
    /// The segment that is written to.
    active: Segment,
    /// Lengths of all segments, by number.
    segments: BTreeMap<u64, u64>,
    /// The oldest segment that recovery needs, as the disk knows it.
    oldest: u64,
    index: Index,
    group: Group,
    standing: Standing,
    /// Why it has failed, until it is told.
    reason: Option<SyncError>,
    torn: Option<TornTail>,
    records: u64,
    syncs: u64,
}

#[derive(Clone, PartialEq, Eq)]
enum Standing {
    Well,
    /// The disk had no room for so many bytes at the last sync.
    Full(u64),
    Failed,
}

/// What is there to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Files.
    pub segments: usize,
    /// Their bytes, without what is reserved.
    pub bytes: u64,
    /// Bytes of entries that are needed; the rest of `bytes` is garbage, but for some heads.
    pub live_bytes: u64,
    /// Agents that have a log.
    pub agents: usize,
    /// Entries that were appended since the start.
    pub records: u64,
    /// Groups that were written and synced since the start.
    pub syncs: u64,
    /// Bytes that wait for the next sync.
    pub unsynced: usize,
    /// The last sync found the disk full.
    pub is_full: bool,
    /// The disk failed: nothing more is written.
    pub has_failed: bool,
    /// What was cut off at the start.
    pub torn: Option<TornTail>,
}

impl Journal {
    /// Opens the log on a disk, or makes one. What it returns as recovered is safe on the disk.
    ///
    /// # Errors
    /// See [`OpenError`]. After a crash within this call it can simply be called again.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Self, Recovered), OpenError> {
        options.check().map_err(OpenError::Options)?;
        let mut replay = Replay::read(&*disk, &options)?;
        let active = replay.mend(&options)?;
        let Replay { recovered, index, log_id, segments, oldest, chain, .. } = replay;
        let mut journal = Self {
            group: Group::after(chain),
            active,
            segments,
            oldest,
            index,
            log_id,
            torn: recovered.torn,
            standing: Standing::Well,
            reason: None,
            records: 0,
            syncs: 0,
            options,
            disk,
        };
        journal.tidy(0);
        Ok((journal, recovered))
    }

    /// Adds an entry to the next group. It is in memory only until [`sync`](Self::sync) succeeds.
    ///
    /// # Errors
    /// If it was not added; see [`AppendError`].
    pub fn append(&mut self, agent: u64, entry: Entry<&[u8]>) -> Result<(), AppendError> {
        match self.standing {
            Standing::Well => {}
            Standing::Full(needed) => {
                return Err(AppendError::Full { place: self.disk.place(), needed });
            }
            Standing::Failed => return Err(AppendError::Failed),
        }
        let (kind, payload) = match entry {
            Entry::Record(bytes) => (Kind::Record, bytes),
            Entry::Snapshot(bytes) => (Kind::Snapshot, bytes),
            Entry::Forget => (Kind::Forget, &[][..]),
        };
        let (bytes, max) = (payload.len(), self.options.max_entry);
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        let (bytes, max) = (self.group.appended(), self.options.max_group);
        if bytes + ENTRY_HEAD + payload.len() > max {
            return Err(AppendError::Unsynced { bytes, max });
        }
        self.group.push(kind, agent, payload);
        self.records += 1;
        Ok(())
    }

    /// Brings all that was appended to the disk, with one write and one fdatasync; when a segment
    /// is full, a new one is made first. Without anything to write it does nothing.
    ///
    /// # Errors
    /// Then nothing of it is acknowledged: [`SyncError::Full`] can be tried again, everything else
    /// is final.
    pub fn sync(&mut self) -> Result<(), SyncError> {
        if self.standing == Standing::Failed {
            return Err(self.reason.take().unwrap_or(SyncError::Failed));
        }
        if self.group.is_empty() {
            return Ok(());
        }
        let written = self.write_group();
        self.standing = match &written {
            Ok(()) => Standing::Well,
            Err(SyncError::Full { needed, .. }) => Standing::Full(*needed),
            Err(_) => Standing::Failed,
        };
        written?;
        let appended = self.group.appended();
        self.syncs += 1;
        self.settle();
        self.remove_dead();
        self.tidy(appended);
        Ok(())
    }

    /// Agents that should append a snapshot, because their records became too long or because
    /// they alone keep an old segment.
    pub fn wants_snapshot(&self) -> impl Iterator<Item = u64> {
        let keepers = self.keeps_garbage().then(|| self.index.in_oldest()).into_iter().flatten();
        let keepers = keepers.filter(|(_, places)| places.is_none()).map(|(agent, _)| agent);
        self.index.long().chain(keepers.filter(|agent| !self.index.is_long(*agent)))
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        JournalStatus {
            segments: self.segments.len(),
            bytes: self.segments.values().sum(),
            live_bytes: self.index.bytes(),
            agents: self.index.len(),
            records: self.records,
            syncs: self.syncs,
            unsynced: self.group.appended(),
            is_full: matches!(self.standing, Standing::Full(_)),
            has_failed: self.standing == Standing::Failed,
            torn: self.torn,
        }
    }

    /// Its bounds.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    fn write_group(&mut self) -> Result<(), SyncError> {
        let length = self.group.len();
        if !self.active.has_room(length) {
            self.roll(length)?;
        }
        let bytes = self.group.seal(self.active.end(self.log_id));
        self.active.write(bytes).map_err(|failure| failure.into_sync(&*self.disk, length))
    }

    /// Ends the segment and begins the next one, which is to start with `group` bytes.
    fn roll(&mut self, group: u64) -> Result<(), SyncError> {
        let (log_id, chain) = (self.log_id, self.group.chain_before());
        let room = self.options.room_for(group);
        let failed = |failure: Failure| failure.into_sync(&*self.disk, room);
        let head = SegmentHead { log_id, number: self.active.number + 1, chain };
        let next = Segment::create(&*self.disk, head, room).map_err(failed)?;
        // Only now, and before anything is written to the new one: see the design, 0004.
        self.active.seal(log_id, chain).map_err(failed)?;
        self.segments.insert(self.active.number, self.active.length);
        self.segments.insert(next.number, next.length);
        self.active = next;
        Ok(())
    }

    /// The group is on the disk.
    fn settle(&mut self) {
        let (number, end) = (self.active.number, self.active.length);
        self.segments.insert(number, end);
        for (kind, agent, place) in self.group.settle(number, end - self.group.len()) {
            self.index.apply(kind, agent, place);
            if kind == Kind::Trim {
                self.oldest = agent;
            }
        }
    }

    /// Removes segments that the disk knows to be dead. One that cannot be removed is tried again
    /// after the next sync, and stays visible in the status until then.
    fn remove_dead(&mut self) {
        let disk = &*self.disk;
        let oldest = self.oldest;
        self.segments
            .retain(|number, _| *number >= oldest || disk.remove(&segment_name(*number)).is_err());
    }

    /// Puts into the next group what the log itself has to say: from where on segments are needed,
    /// and, at the speed of what was just written, what is to be carried forward.
    fn tidy(&mut self, written: usize) {
        let needed = self.index.oldest().unwrap_or(self.active.number);
        if needed > self.oldest {
            self.group.push(Kind::Trim, needed, &[]);
        }
        if self.keeps_garbage() {
            // At least the largest remains that are carried, and the entry before them.
            let budget = self.options.carry_bytes.max(written as u64) + ENTRY_HEAD as u64;
            if let Err(error) = self.carry(budget) {
                self.standing = Standing::Failed;
                self.reason = Some(error);
            }
        }
        self.group.disown();
    }

    /// Whether the log is longer than it may be, half of it or more is garbage, and something in
    /// the oldest segment keeps it from being removed.
    fn keeps_garbage(&self) -> bool {
        let bytes = self.segments.values().sum::<u64>();
        bytes > self.options.log_bytes
            && bytes > 2 * self.index.bytes()
            && self.index.oldest().is_some_and(|oldest| oldest < self.active.number)
    }

    /// Writes the remains of agents in the oldest segment anew, up to `budget` bytes, each agent's
    /// as a whole: in one group, so that a crash leaves the old or the new.
    fn carry(&mut self, mut budget: u64) -> Result<(), SyncError> {
        let small = self.index.in_oldest().filter_map(|(agent, places)| Some((agent, places?)));
        for (agent, places) in small {
            let size = ENTRY_HEAD as u64 + places.iter().map(Place::size).sum::<u64>();
            if size > budget {
                break;
            }
            budget -= size;
            self.group.push(Kind::Restart, agent, &[]);
            for place in places {
                let bytes = place.read(&*self.disk)?;
                let entry = place.check(&*self.disk, &bytes)?;
                self.group.push(entry.kind, agent, entry.payload);
            }
        }
        Ok(())
    }
}
