//! A node's journal at work: the real one, over a disk of the simulator's. What agents persist
//! goes in, and is durable when a commit returns. A commit starts as soon as there is something and
//! the one before it has returned.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use dx_agents::journal::{
    AgentLog, AppendError, Entry, Journal, OpenError, Options, Recovered as Found, SyncError,
};
use dx_agents::{AgentId, JournalState, Recovered};

use crate::disk::SimDisk;

/// See the module.
pub struct Journaling {
    journal: Journal,
    disk: SimDisk,
    pub state: JournalState,
    pub commit: Commit,
    agents: BTreeMap<AgentId, Account>,
    /// What the journal was not given yet.
    waiting: VecDeque<(AgentId, Entry<Bytes>)>,
    /// Whose entries are in the commit under way.
    under_way: Vec<AgentId>,
    recovered: BTreeMap<u64, AgentLog>,
}

/// How it is with the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Nothing is to be written.
    Idle,
    /// It is about to start.
    Wanted,
    /// It has started and not returned.
    UnderWay,
    /// The disk was full: it is tried again.
    Retry,
}

#[derive(Default)]
struct Account {
    durable: u64,
    /// What a restart of it within this life would begin with.
    log: AgentLog,
}

/// What came of a commit.
pub enum Committed {
    /// These agents have so many entries on the disk; these should append a snapshot.
    Durable(Vec<(AgentId, u64)>, Vec<AgentId>),
    /// There was no room.
    Full,
    /// The node must stop.
    Failed,
}

impl Journaling {
    /// Opens the journal on a disk.
    pub fn open(disk: &SimDisk, log_id: u64, segment_bytes: u64) -> Result<Self, OpenError> {
        let options = Options { segment_bytes, ..Options::new(log_id) };
        let (mut journal, found) = Journal::open(Arc::new(disk.clone()), options)?;
        let Found { agents, .. } = found;
        let is_lasting = |agent: u64| AgentId(agent).is_lasting();
        // Of agents that were spawned at run time nobody needs it any more.
        for agent in agents.keys().filter(|agent| !is_lasting(**agent)) {
            // If it does not fit now it is given up at the next start.
            drop(journal.append(*agent, Entry::Forget));
        }
        let recovered = agents.into_iter().filter(|(agent, _)| is_lasting(*agent)).collect();
        disk.settle();
        Ok(Self {
            journal,
            disk: disk.clone(),
            state: JournalState::Open,
            commit: Commit::Idle,
            agents: BTreeMap::new(),
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            recovered,
        })
    }

    /// What was recovered of an agent that starts.
    pub fn recovered(&mut self, agent: AgentId) -> Recovered {
        let log = self.recovered.remove(&agent.0).unwrap_or_default();
        self.agents.insert(agent, Account { durable: 0, log: log.clone() });
        Recovered { snapshot: log.snapshot, records: log.records }
    }

    /// What a restart of an agent within this life begins with: all that it persisted.
    pub fn recall(&self, agent: AgentId) -> Recovered {
        let log = self.agents.get(&agent).map(|account| account.log.clone()).unwrap_or_default();
        Recovered { snapshot: log.snapshot, records: log.records }
    }

    /// Takes an entry. True if a commit is to be started.
    pub fn append(&mut self, agent: AgentId, entry: Entry<Bytes>) -> bool {
        let log = &mut self.agents.entry(agent).or_default().log;
        match &entry {
            Entry::Record(record) => log.records.push(record.clone()),
            Entry::Snapshot(state) => {
                *log = AgentLog { snapshot: Some(state.clone()), records: Vec::new() };
            }
            Entry::Forget => *log = AgentLog::default(),
        }
        self.waiting.push_back((agent, entry));
        self.wants_commit()
    }

    /// An agent has ended for good. The log of one that was spawned at run time is of no use any
    /// more. True if a commit is to be started.
    pub fn leave(&mut self, agent: AgentId) -> bool {
        self.agents.remove(&agent);
        if agent.is_lasting() {
            return false;
        }
        self.waiting.push_back((agent, Entry::Forget));
        self.wants_commit()
    }

    /// Entries that are not known to be on the disk.
    pub fn unsynced(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    fn wants_commit(&mut self) -> bool {
        let wants = self.commit == Commit::Idle && self.state == JournalState::Open;
        if wants {
            self.commit = Commit::Wanted;
        }
        wants
    }

    /// The commit starts: from now on its bytes are on their way to the disk.
    pub fn start(&mut self) -> Result<(), SyncError> {
        self.commit = Commit::UnderWay;
        while let Some((agent, entry)) = self.waiting.front() {
            match self.journal.append(agent.0, entry.as_ref()) {
                Ok(()) => self.under_way.push(*agent),
                // The next commit takes the rest. `TooLarge` cannot be: the context has checked.
                Err(
                    AppendError::Unsynced { .. }
                    | AppendError::Full { .. }
                    | AppendError::TooLarge { .. }
                    | AppendError::Failed,
                ) => break,
            }
            self.waiting.pop_front();
        }
        self.journal.sync()
    }

    /// The commit returns, so.
    pub fn returned(&mut self, synced: &Result<(), SyncError>) -> Committed {
        self.disk.settle();
        match synced {
            Ok(()) => {}
            Err(SyncError::Full { .. }) => {
                self.state = JournalState::Full;
                self.commit = Commit::Retry;
                return Committed::Full;
            }
            Err(_) => {
                self.state = JournalState::Failed;
                return Committed::Failed;
            }
        }
        self.state = JournalState::Open;
        let mut told = BTreeMap::new();
        for agent in self.under_way.drain(..) {
            if let Some(account) = self.agents.get_mut(&agent) {
                account.durable += 1;
                told.insert(agent, account.durable);
            }
        }
        let wants = self.journal.wants_snapshot().map(AgentId).collect();
        self.commit = if self.waiting.is_empty() { Commit::Idle } else { Commit::Wanted };
        Committed::Durable(told.into_iter().collect(), wants)
    }
}
