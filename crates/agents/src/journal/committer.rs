//! The thread that commits groups.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::error::SyncError;
use super::{Entry, Journal, JournalStatus};

/// Drives a [`Journal`] on a thread of its own: a commit takes all that was submitted while the
/// one before it was under way, and starts as soon as that returns. There is no timer, so one
/// entry alone waits for nothing and many share a sync. Dropping it drains it.
pub struct Committer {
    shared: Arc<Shared>,
    max_entry: usize,
    thread: Option<JoinHandle<Journal>>,
}

/// The bounds of what may wait for a commit.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Entries. 65,536: a quarter of a second's at the speed of a good disk.
    pub entries: usize,
    /// Bytes of their payloads; one entry is accepted however long. 32 MiB, as one group.
    pub bytes: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { entries: 1 << 16, bytes: 32 << 20 }
    }
}

/// The number of an accepted entry. They count up by one in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What became of what was submitted.
#[derive(Debug)]
pub enum Commit {
    /// A group is on the disk.
    Durable {
        /// All entries up to this one are.
        through: Ticket,
        /// The agents with entries in this group, each with its last one.
        agents: Vec<(u64, Ticket)>,
        /// Agents that should submit a snapshot, and were not told so before.
        wants_snapshot: Vec<u64>,
    },
    /// The disk is full. What was accepted is kept; nothing else is accepted, until a
    /// [`retry`](Committer::retry) finds room. Told once until then.
    Full {
        /// The folder.
        place: String,
        /// Bytes that were asked for.
        needed: u64,
    },
    /// What was accepted and not yet reported is not known to be on the disk, and the node must
    /// stop. Nothing follows.
    Failed(SyncError),
}

/// Why an entry was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The agent's fault.
    #[error("an entry of {bytes} bytes is longer than {max}: split it, or raise max_entry")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Too much waits already.
    #[error(
        "{entries} entries of {bytes} bytes wait for the disk: submit again after the next commit"
    )]
    Busy {
        /// Entries that wait.
        entries: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The disk is full. Being asked made the committer try again.
    #[error("{place} has no room for {needed} bytes: make room and submit again")]
    Full {
        /// The folder.
        place: String,
        /// Bytes that were asked for.
        needed: u64,
    },
    /// It has failed, was shut down, or its callback panicked.
    #[error("the journal takes nothing more: restart the node")]
    Closed,
}

struct Shared {
    backlog: Backlog,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    queue: VecDeque<Waiting>,
    bytes: usize,
    accepted: u64,
    /// The folder that is full and what it was asked for.
    full: Option<(String, u64)>,
    wants_retry: bool,
    /// Takes nothing more.
    is_closed: bool,
    status: JournalStatus,
}

struct Waiting {
    ticket: Ticket,
    agent: u64,
    entry: Entry<Bytes>,
}

impl Committer {
    /// Starts the thread. `on_commit` is called on it, in order, and holds up the next commit: it
    /// should only pass on what it is told.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub fn spawn(
        journal: Journal,
        backlog: Backlog,
        on_commit: Box<dyn FnMut(Commit) + Send>,
    ) -> io::Result<Self> {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            accepted: 0,
            full: None,
            wants_retry: false,
            is_closed: false,
            status: journal.status(),
        };
        let shared = Arc::new(Shared { backlog, state: Mutex::new(state), wake: Condvar::new() });
        let max_entry = journal.options().max_entry;
        let closing = Closing(Arc::clone(&shared));
        let driver =
            Driver { closing, journal, on_commit, touched: vec![], asked: BTreeSet::new() };
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = Some(thread.spawn(move || driver.run())?);
        Ok(Self { shared, max_entry, thread })
    }

    /// Adds an entry to the next commit. Never waits for the disk.
    ///
    /// # Errors
    /// If it was not accepted; see [`Refused`].
    pub fn submit(&self, agent: u64, entry: Entry<Bytes>) -> Result<Ticket, Refused> {
        let (bytes, max) = (entry.payload().len(), self.max_entry);
        if bytes > max {
            return Err(Refused::TooLarge { bytes, max });
        }
        let mut state = self.shared.lock();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if let Some((place, needed)) = state.full.clone() {
            state.wants_retry = true;
            self.shared.wake.notify_one();
            return Err(Refused::Full { place, needed });
        }
        let Backlog { entries: max_entries, bytes: max_bytes } = self.shared.backlog;
        let entries = state.queue.len();
        if entries >= max_entries || (entries > 0 && state.bytes + bytes > max_bytes) {
            return Err(Refused::Busy { entries, bytes: state.bytes });
        }
        state.accepted += 1;
        state.bytes += bytes;
        let ticket = Ticket(state.accepted);
        state.queue.push_back(Waiting { ticket, agent, entry });
        if entries == 0 {
            self.shared.wake.notify_one();
        }
        Ok(ticket)
    }

    /// There may be room on the disk again. Does nothing unless it was full.
    pub fn retry(&self) {
        let mut state = self.shared.lock();
        state.wants_retry = state.full.is_some();
        self.shared.wake.notify_one();
    }

    /// How the journal was after the last commit.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        self.shared.lock().status.clone()
    }

    /// Accepts nothing more, commits what was accepted, and returns the journal. A full disk is
    /// tried once more; what does not fit then is lost with the journal, and was never reported.
    #[must_use = "its status tells whether everything was written"]
    pub fn shutdown(mut self) -> Journal {
        self.shared.close();
        let thread = self.thread.take().expect("only shutdown and drop take the thread");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.close();
        // The callback may have held the last handle: then the thread ends by itself, after this.
        let others = self.thread.take().filter(|own| own.thread().id() != thread::current().id());
        if let Some(thread) = others {
            // A panic of the callback was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Driver {
    closing: Closing,
    journal: Journal,
    on_commit: Box<dyn FnMut(Commit) + Send>,
    /// Agents and tickets of the group that is being put together.
    touched: Vec<(u64, Ticket)>,
    /// Agents that were asked for a snapshot, and have not written it yet.
    asked: BTreeSet<u64>,
}

/// The thread ends, be it by a panic of the callback: nothing more is accepted.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Driver {
    fn run(mut self) -> Journal {
        let mut batch = VecDeque::new();
        while self.closing.0.next_batch(&mut batch) {
            if !self.commit(&mut batch) {
                break;
            }
        }
        self.journal
    }

    /// Whether all of it is on the disk; if not, there is no going on.
    fn commit(&mut self, batch: &mut VecDeque<Waiting>) -> bool {
        while let Some(Waiting { ticket, agent, entry }) = batch.front() {
            if self.journal.append(*agent, entry.as_ref()).is_ok() {
                self.touched.push((*agent, *ticket));
                batch.pop_front();
            } else if !self.sync() {
                // It had not been refused for a full group, which a sync empties.
                return false;
            }
        }
        self.sync()
    }

    fn sync(&mut self) -> bool {
        loop {
            let is_last_try = self.closing.0.lock().is_closed;
            let outcome = self.journal.sync();
            let full = match &outcome {
                Err(SyncError::Full { place, needed }) => Some((place.clone(), *needed)),
                _ => None,
            };
            let was_full = self.closing.0.publish(self.journal.status(), full.clone());
            match (outcome, full) {
                (Ok(()), _) => {
                    self.report();
                    return true;
                }
                (Err(_), Some((place, needed))) => {
                    if !was_full {
                        (self.on_commit)(Commit::Full { place, needed });
                    }
                    if is_last_try {
                        return false;
                    }
                    self.closing.0.wait_for_retry();
                }
                (Err(error), None) => {
                    self.closing.0.close();
                    (self.on_commit)(Commit::Failed(error));
                    return false;
                }
            }
        }
    }

    fn report(&mut self) {
        let Some(&(_, through)) = self.touched.last() else { return };
        let mut agents = std::mem::take(&mut self.touched);
        agents.sort_unstable();
        agents.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = later.1;
            }
            is_same
        });
        let wanting: BTreeSet<u64> = self.journal.wants_snapshot().collect();
        let wants_snapshot = wanting.difference(&self.asked).copied().collect();
        self.asked = wanting;
        (self.on_commit)(Commit::Durable { through, agents, wants_snapshot });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// Waits for entries and takes all of them; false once it is closed and all are taken.
    fn next_batch(&self, batch: &mut VecDeque<Waiting>) -> bool {
        let is_idle = |state: &mut State| state.queue.is_empty() && !state.is_closed;
        let state = self.wake.wait_while(self.lock(), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.queue, batch);
        state.bytes = 0;
        !batch.is_empty()
    }

    /// Waits until it may be worth trying again, or the end has come.
    fn wait_for_retry(&self) {
        let is_idle = |state: &mut State| !state.wants_retry && !state.is_closed;
        let state = self.wake.wait_while(self.lock(), is_idle);
        state.unwrap_or_else(PoisonError::into_inner).wants_retry = false;
    }

    /// Shows how it is; whether the disk was full before.
    fn publish(&self, status: JournalStatus, full: Option<(String, u64)>) -> bool {
        let mut state = self.lock();
        state.status = status;
        std::mem::replace(&mut state.full, full).is_some()
    }
}
