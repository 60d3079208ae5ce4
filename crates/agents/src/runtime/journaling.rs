//! The journal at work for a runtime's agents: what they persist goes in, and comes back as word
//! that it is durable.
//!
//! An agent's step has already happened when its entry arrives here, so an entry is never
//! refused: what the journal does not take now waits here, and the agent's effects wait in its
//! cell. Each agent is bounded by its cell, which takes no step while too much of it is behind.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::context::JournalState;
use crate::event::{Event, Recovered};
use crate::id::AgentId;
use crate::journal::{
    AgentLog, Backlog, Commit, Committer, Entry, Journal, JournalStatus, OpenError, Options,
    Refused, StdDisk, Ticket,
};
use crate::runtime::failure::Failure;
use crate::runtime::mailbox::{Mailbox, Pushed};

/// How long a full disk is left alone: nothing tells when there is room again.
pub const RETRY_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub struct Journaling {
    state: Mutex<State>,
    committer: OnceLock<Committer>,
    failure: Arc<Failure>,
}

#[derive(Default)]
struct State {
    standing: Standing,
    agents: FxHashMap<AgentId, Account>,
    /// What the journal would not take yet, in order.
    waiting: VecDeque<(Arc<Mailbox>, Entry<Bytes>)>,
    /// What was recovered and has not been asked for.
    recovered: FxHashMap<AgentId, AgentLog>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Well,
    Full,
    Failed,
}

/// What one agent has in the journal.
struct Account {
    mailbox: Arc<Mailbox>,
    /// Entries taken and not yet durable.
    tickets: VecDeque<Ticket>,
    /// Entries that are durable.
    durable: u64,
    /// What a restart of it within this run would begin with; kept if it may restart.
    log: Option<AgentLog>,
}

/// A journal cannot be used. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The operating system gives no thread.
    #[error("failed to start the journal's thread: {0}")]
    Thread(#[source] io::Error),
}

impl Journaling {
    /// Opens the journal in `folder`. What is left in it of agents that were spawned at run time
    /// is of no use to anybody, and is given up.
    pub fn open(
        folder: &Path,
        log_id: u64,
        failure: Arc<Failure>,
    ) -> Result<Arc<Self>, JournalError> {
        let disk = StdDisk::new(folder)?;
        let (mut journal, recovered) = Journal::open(Arc::new(disk), options(log_id))?;
        if let Some(torn) = recovered.torn {
            tracing::warn!(
                "the journal's last write was torn by a crash: {} bytes that were never \
                 acknowledged are cut off",
                torn.bytes
            );
        }
        let mut logs = FxHashMap::default();
        for (agent, log) in recovered.agents {
            let id = AgentId(agent);
            if id.is_lasting() {
                logs.insert(id, log);
            } else {
                // If it does not fit now it is given up at the next start.
                drop(journal.append(agent, Entry::Forget));
            }
        }
        let journaling = Arc::new(Self {
            state: Mutex::new(State { recovered: logs, ..State::default() }),
            committer: OnceLock::new(),
            failure,
        });
        let told: Weak<Self> = Arc::downgrade(&journaling);
        let on_commit = Box::new(move |commit| {
            if let Some(journaling) = told.upgrade() {
                journaling.committed(commit);
            }
        });
        let committer = Committer::spawn(journal, Backlog::default(), on_commit)
            .map_err(JournalError::Thread)?;
        let _ = journaling.committer.set(committer);
        Ok(journaling)
    }

    /// What was recovered of an agent; once.
    pub fn recovered(&self, agent: AgentId) -> Recovered {
        let log = self.lock().recovered.remove(&agent).unwrap_or_default();
        Recovered { snapshot: log.snapshot, records: log.records }
    }

    /// Keeps what was recovered of an agent that may restart within this run.
    pub fn keep(&self, mailbox: &Arc<Mailbox>, recovered: &Recovered) {
        let log =
            AgentLog { snapshot: recovered.snapshot.clone(), records: recovered.records.clone() };
        let account = Account { log: Some(log), ..Account::new(mailbox, false) };
        self.lock().agents.insert(mailbox.id, account);
    }

    /// Appends an entry; when it is durable the mailbox is told. `restarts`: the agent may
    /// restart within this run.
    pub fn append(&self, mailbox: &Arc<Mailbox>, entry: Entry<Bytes>, restarts: bool) {
        let mut state = self.lock();
        let new = || Account::new(mailbox, restarts);
        let account = state.agents.entry(mailbox.id).or_insert_with(new);
        if let Some(log) = &mut account.log {
            note(log, &entry);
        }
        state.waiting.push_back((Arc::clone(mailbox), entry));
        if state.waiting.len() == 1 {
            self.submit_waiting(&mut state);
        }
    }

    /// What a restart of an agent within this run begins with: all that it persisted.
    pub fn recall(&self, agent: AgentId) -> Recovered {
        let log = self.lock().agents.get(&agent).and_then(|account| account.log.clone());
        let log = log.unwrap_or_default();
        Recovered { snapshot: log.snapshot, records: log.records }
    }

    /// An agent has ended for good, and all it persisted is durable. The log of one that was
    /// spawned at run time is of no use any more.
    pub fn leave(&self, mailbox: &Arc<Mailbox>) {
        let mut state = self.lock();
        state.agents.remove(&mailbox.id);
        if !mailbox.id.is_lasting() {
            state.waiting.push_back((Arc::clone(mailbox), Entry::Forget));
            self.submit_waiting(&mut state);
        }
    }

    /// How it is.
    pub fn state(&self) -> JournalState {
        match self.lock().standing {
            Standing::Well => JournalState::Open,
            Standing::Full => JournalState::Full,
            Standing::Failed => JournalState::Failed,
        }
    }

    /// The journal's own account of itself.
    pub fn status(&self) -> JournalStatus {
        self.committer.get().map(Committer::status).unwrap_or_default()
    }

    /// Hands over what waits, as far as it is taken.
    fn submit_waiting(&self, state: &mut State) {
        let Some(committer) = self.committer.get() else { return };
        while let Some((mailbox, entry)) = state.waiting.front() {
            let id = mailbox.id;
            match committer.submit(id.0, entry.clone()) {
                Ok(ticket) => {
                    state.waiting.pop_front();
                    if let Some(account) = state.agents.get_mut(&id) {
                        account.tickets.push_back(ticket);
                    }
                }
                // The next commit, or room on the disk, brings the rest on its way. `TooLarge`
                // cannot be: the context has checked.
                Err(Refused::Busy { .. } | Refused::Full { .. } | Refused::TooLarge { .. }) => {
                    return;
                }
                // It has failed: nothing becomes durable any more, and the node is to stop.
                Err(Refused::Closed) => return,
            }
        }
    }

    fn committed(self: &Arc<Self>, commit: Commit) {
        match commit {
            Commit::Durable { agents, wants_snapshot, .. } => {
                let mut state = self.lock();
                if state.standing == Standing::Full {
                    tracing::warn!("the journal's disk has room again");
                    state.standing = Standing::Well;
                }
                for (agent, last) in agents {
                    if let Some(account) = state.agents.get_mut(&AgentId(agent)) {
                        account.settle(last);
                    }
                }
                for agent in wants_snapshot {
                    if let Some(account) = state.agents.get(&AgentId(agent)) {
                        wake(account.mailbox.push_system(Event::SnapshotWanted, None));
                    }
                }
                self.submit_waiting(&mut state);
            }
            Commit::Full { place, needed } => {
                tracing::error!("{place} has no room for {needed} bytes: make room; agents wait");
                self.lock().standing = Standing::Full;
                self.retry_until_there_is_room();
            }
            Commit::Failed(error) => {
                self.lock().standing = Standing::Failed;
                self.failure.fail(format!("the journal has failed, the node must stop: {error}"));
            }
        }
    }

    /// Nothing says when a disk has room again: it is tried now and then.
    fn retry_until_there_is_room(self: &Arc<Self>) {
        let told = Arc::downgrade(self);
        let again = move || {
            loop {
                thread::sleep(RETRY_EVERY);
                let Some(journaling) = told.upgrade() else { return };
                if journaling.lock().standing != Standing::Full {
                    return;
                }
                if let Some(committer) = journaling.committer.get() {
                    committer.retry();
                }
            }
        };
        let thread = thread::Builder::new().name("journal-retry".to_owned()).spawn(again);
        if let Err(error) = thread {
            self.failure.fail(format!("failed to start the thread that waits for room: {error}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn new(mailbox: &Arc<Mailbox>, restarts: bool) -> Self {
        Self {
            mailbox: Arc::clone(mailbox),
            tickets: VecDeque::new(),
            durable: 0,
            log: restarts.then(AgentLog::default),
        }
    }

    /// All entries up to `last` are durable.
    fn settle(&mut self, last: Ticket) {
        while self.tickets.front().is_some_and(|ticket| *ticket <= last) {
            self.tickets.pop_front();
            self.durable += 1;
        }
        wake(self.mailbox.push_durable(self.durable));
    }
}

/// Room is reserved ahead by the segment: many nodes may share a disk, and most persist little.
fn options(log_id: u64) -> Options {
    Options { segment_bytes: 16 << 20, ..Options::new(log_id) }
}

fn note(log: &mut AgentLog, entry: &Entry<Bytes>) {
    match entry {
        Entry::Record(record) => log.records.push(record.clone()),
        Entry::Snapshot(state) => {
            *log = AgentLog { snapshot: Some(state.clone()), records: vec![] }
        }
        Entry::Forget => *log = AgentLog::default(),
    }
}

fn wake(pushed: Pushed) {
    if let Pushed::Wake(home) = pushed {
        home.worker.schedule(home.slot);
    }
}
