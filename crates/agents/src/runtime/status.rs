//! How a runtime stands, for people and machines.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::AgentId;
use crate::journal::JournalStatus;
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::shared::Shared;

/// A node's agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuntimeStatus {
    /// The agents, in the order of their ids.
    pub agents: Vec<AgentStatus>,
    /// Messages that reached nobody, by reason; reasons that did not occur are left out.
    pub dead_letters: BTreeMap<String, u64>,
    /// Agents that are in a turn for long.
    pub stalls: Vec<Stall>,
    /// The journal, if there is one.
    pub journal: Option<JournalStatus>,
    /// Why the node must stop, if it must.
    pub failure: Option<String>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its id.
    pub id: AgentId,
    /// Its kind.
    pub kind: String,
    /// Steps taken.
    pub steps: u64,
    /// Messages that wait for it.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Messages that its mailbox may hold.
    pub mailbox: usize,
    /// Messages dropped because its mailbox was full.
    pub dropped: u64,
    /// Messages sent back for the same reason.
    pub refused: u64,
    /// Restarts.
    pub restarts: u64,
    /// Steps longer than [`SLOW_STEP`](super::SLOW_STEP).
    pub slow_steps: u64,
    /// The longest of those, in microseconds.
    pub longest_step_us: u64,
    /// What it noted.
    pub notes: BTreeMap<String, u64>,
}

/// An agent that keeps a worker busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// The agent.
    pub agent: AgentId,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// A turn that takes longer is shown.
const STALLED_AFTER: Duration = Duration::from_millis(20);

/// The status of a node's runtime.
pub fn of(shared: &Shared) -> RuntimeStatus {
    let count = |reason: &Reason| (reason.name().to_owned(), shared.dead_letters.count(*reason));
    RuntimeStatus {
        agents: shared.routes.mailboxes().iter().map(|mailbox| agent(mailbox)).collect(),
        dead_letters: Reason::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect(),
        stalls: stalls(shared),
        journal: shared.journal.as_ref().map(|journal| journal.status()),
        failure: shared.failure.text(),
    }
}

fn agent(mailbox: &Mailbox) -> AgentStatus {
    let (waiting, waiting_bytes) = mailbox.depth();
    let counts = &mailbox.counts;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let notes = mailbox.notes();
    AgentStatus {
        id: mailbox.id,
        kind: mailbox.kind().to_owned(),
        steps: count(&counts.steps),
        waiting,
        waiting_bytes,
        mailbox: mailbox.bounds().messages,
        dropped: count(&counts.dropped),
        refused: count(&counts.refused),
        restarts: count(&counts.restarts),
        slow_steps: count(&counts.slow_steps),
        longest_step_us: count(&counts.longest_step) / 1000,
        notes: notes.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
    }
}

fn stalls(shared: &Shared) -> Vec<Stall> {
    let now = shared.now();
    let workers = shared.workers();
    let stall = |worker: &std::sync::Arc<super::worker_handle::WorkerHandle>| {
        let since = worker.turn_since.load(Ordering::Relaxed);
        let lasted = now.since(dx_transport::time::Instant(since));
        let agent = AgentId(worker.turn_of.load(Ordering::Relaxed));
        let for_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        (since != 0 && lasted > STALLED_AFTER).then_some(Stall { agent, for_ms })
    };
    workers.iter().filter_map(stall).collect()
}
