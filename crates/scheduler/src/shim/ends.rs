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
    unsaved: VecDeque<(AttemptId, Bytes)>,
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
        let unsaved = VecDeque::new();
        Ok((
            Self { committer, commits, keys, next_key, on_their_way, unsaved, is_full: false },
            ended,
        ))
    }

    /// Writes an end, some time.
    pub fn keep(&mut self, attempt: AttemptId, end: &Ended) {
        let entry = codec::encode(&(attempt, end), MAX_ENTRY).expect("a reason is a line");
        self.unsaved.push_back((attempt, entry.into()));
        if !self.is_full {
            self.submit();
        }
    }

    /// These are not needed any more.
    pub fn forget(&mut self, attempts: &[AttemptId]) {
        for attempt in attempts {
            self.unsaved.retain(|(unsaved, _)| unsaved != attempt);
            if let Some(key) = self.keys.remove(attempt) {
                // What is forgotten in vain is told once more after a restart, and forgotten then.
                let _ = self.committer.submit(key, Entry::Forget);
            }
        }
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
        if !self.is_full {
            self.submit();
        }
        kept
    }

    fn submit(&mut self) {
        while let Some((attempt, entry)) = self.unsaved.pop_front() {
            let key = *self.keys.entry(attempt).or_insert_with(|| {
                self.next_key += 1;
                self.next_key
            });
            match self.committer.submit(key, Entry::Record(entry.clone())) {
                Ok(ticket) => self.on_their_way.push_back((ticket, attempt)),
                Err(Refused::Busy { .. }) => {
                    self.unsaved.push_front((attempt, entry));
                    return;
                }
                Err(_) => {
                    self.unsaved.push_front((attempt, entry));
                    self.is_full = true;
                    return;
                }
            }
        }
    }
}
