//! The ends of attempts, on disk until nobody needs them: the journal of the shim.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use dx_agents::journal::{
    Backlog, Commit, Committer, Entry, Journal, OpenError, Options, Refused, StdDisk, Ticket,
};
use dx_transport::codec;

use crate::id::AttemptId;

use super::core::Ended;
use super::notes::note;
use super::wake::Wake;

/// Bytes of a segment: some ten thousand ends.
const SEGMENT: u64 = 4 << 20;

/// Bytes of the journal from which on it is tidied up.
const TIDY: u64 = 16 << 20;

/// The longest end, as it is stored: a reason is a line.
const MAX_ENTRY: usize = 64 << 10;

/// How long an end waits for others before they are written together. Nobody waits for it, and a
/// sync for each would cost more than a short task does. A guess: longer than the controller needs
/// to hear of most, and to have them on its own disk; those are not written here at all.
const GATHER: u64 = 40_000_000;

/// Why earlier ends cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EndsError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// There is no thread for it.
    #[error("failed to start the journal's thread: {0}")]
    Thread(std::io::Error),
    /// An entry means nothing to this version.
    #[error("an end cannot be read: {0}: a later version may have written it")]
    Entry(#[from] codec::DecodeError),
}

/// Ends on disk, and those on their way there.
pub struct Ends {
    committer: Committer,
    commits: Receiver<Commit>,
    /// What each attempt's entry is called in the journal.
    keys: BTreeMap<AttemptId, u64>,
    next_key: u64,
    on_their_way: VecDeque<(Ticket, AttemptId)>,
    /// The disk was full, or the journal had too much to do: to be tried again.
    unsaved: BTreeMap<AttemptId, Bytes>,
    /// Keys of what is not needed any more.
    forgotten: Vec<u64>,
    /// When what was gathered goes to the disk.
    due: Option<u64>,
    /// The disk is full, or has failed: it is tried again later.
    is_full: bool,
}

impl Ends {
    /// Opens them. `log_id` names a new journal.
    ///
    /// # Errors
    /// If what is there cannot be read.
    pub fn open(
        folder: &Path,
        log_id: u64,
        wake: Wake,
    ) -> Result<(Self, BTreeMap<AttemptId, Ended>), EndsError> {
        let options = Options {
            segment_bytes: SEGMENT,
            log_bytes: TIDY,
            max_entry: MAX_ENTRY,
            ..Options::new(log_id)
        };
        let disk = StdDisk::new(folder)?;
        let (journal, recovered) = Journal::open(Arc::new(disk), options)?;
        let mut ended = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (key, log) in &recovered.agents {
            for record in &log.records {
                let (attempt, end): (AttemptId, Ended) = codec::decode(record)?;
                keys.insert(attempt, *key);
                ended.insert(attempt, end);
            }
        }
        let next_key = recovered.agents.last_key_value().map_or(0, |(key, _)| key + 1);
        let (sender, commits) = channel();
        let passed_on = Box::new(move |commit| {
            // Nobody listens when the shim ends.
            let _ = sender.send(commit);
            wake.wake();
        });
        let committer =
            Committer::spawn(journal, Backlog::default(), passed_on).map_err(EndsError::Thread)?;
        let on_their_way = VecDeque::new();
        let unsaved = BTreeMap::new();
        Ok((
            Self {
                committer,
                commits,
                keys,
                next_key,
                on_their_way,
                unsaved,
                forgotten: Vec::new(),
                due: None,
                is_full: false,
            },
            ended,
        ))
    }

    /// Writes an end, some time.
    pub fn keep(&mut self, now: u64, attempt: AttemptId, end: &Ended) {
        let entry = codec::encode(&(attempt, end), MAX_ENTRY).expect("a reason is a line");
        self.unsaved.insert(attempt, entry.into());
        self.due.get_or_insert(now + GATHER);
    }

    /// When [`write`](Self::write) has something to do.
    pub fn due(&self) -> u64 {
        self.due.unwrap_or(u64::MAX)
    }

    /// Gives what was gathered to the disk.
    pub fn write(&mut self, now: u64) {
        if now >= self.due() {
            self.due = None;
            for key in self.forgotten.drain(..) {
                // What is forgotten in vain is told once more after a restart, and forgotten then.
                let _ = self.committer.submit(key, Entry::Forget);
            }
            if !self.is_full {
                self.submit();
            }
        }
    }

    /// These are not needed any more. Those of them that will never be written.
    pub fn forget(&mut self, now: u64, attempts: &[AttemptId]) -> Vec<AttemptId> {
        let mut unwritten = Vec::new();
        for attempt in attempts {
            if self.unsaved.remove(attempt).is_some() {
                unwritten.push(*attempt);
            }
            if let Some(key) = self.keys.remove(attempt) {
                self.forgotten.push(key);
                self.due.get_or_insert(now + GATHER);
            }
        }
        unwritten
    }

    /// Tries again what the disk had no room for.
    pub fn retry(&mut self) {
        if !self.unsaved.is_empty() || self.is_full {
            self.committer.retry();
            self.is_full = false;
            self.submit();
        }
    }

    /// Whose ends are on the disk since. Those that it has no room for are in memory only, and are
    /// tried again.
    pub fn take(&mut self) -> Vec<AttemptId> {
        let mut kept = Vec::new();
        for commit in self.commits.try_iter().collect::<Vec<_>>() {
            match commit {
                Commit::Durable { through, .. } => {
                    while let Some((_, attempt)) =
                        self.on_their_way.pop_front_if(|(it, _)| *it <= through)
                    {
                        kept.push(attempt);
                    }
                }
                Commit::Full { place, needed } => {
                    note(format_args!(
                        "{place} has no room for {needed} bytes: ends are kept in memory only"
                    ));
                    // What it has accepted it keeps, and writes when there is room.
                    self.is_full = true;
                }
                Commit::Failed(error) => {
                    note(format_args!("the disk failed: ends are kept in memory only: {error}"));
                    self.is_full = true;
                    self.on_their_way.clear();
                }
            }
        }
        kept
    }

    fn submit(&mut self) {
        while let Some((attempt, entry)) = self.unsaved.pop_first() {
            let key = *self.keys.entry(attempt).or_insert_with(|| {
                self.next_key += 1;
                self.next_key
            });
            match self.committer.submit(key, Entry::Record(entry.clone())) {
                Ok(ticket) => self.on_their_way.push_back((ticket, attempt)),
                Err(Refused::Busy { .. }) => {
                    self.unsaved.insert(attempt, entry);
                    return;
                }
                Err(_) => {
                    self.unsaved.insert(attempt, entry);
                    self.is_full = true;
                    return;
                }
            }
        }
    }
}
