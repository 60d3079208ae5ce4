//! What a step asks for. Collected while it runs, carried out after it has returned.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dx_transport::time::Instant;

use crate::id::{AgentId, AskId, JobId, ReplyTo, TimerKey};
use crate::journal::Entry;
use crate::message::Body;
use crate::shared::Job;
use crate::spawn::Spawn;

/// One effect of a step. Drivers carry them out, in order.
#[derive(Debug)]
pub enum Effect {
    /// A message, and the question that it is if an answer is awaited.
    Send {
        /// To whom.
        to: AgentId,
        /// The question.
        ask: Option<AskId>,
        /// The message.
        body: Body,
    },
    /// An answer.
    Reply {
        /// Where it goes.
        to: ReplyTo,
        /// The answer.
        body: Body,
    },
    /// A question was asked: unless answered before, its deadline is an event.
    SetDeadline {
        /// Which.
        ask: AskId,
        /// How long it is at least until then.
        within: Duration,
    },
    /// The question is settled: its deadline need not come.
    ClearDeadline {
        /// Which.
        ask: AskId,
    },
    /// A timer is set, in place of the earlier one of its key.
    SetTimer {
        /// Which.
        key: TimerKey,
        /// Which setting of it.
        generation: u64,
        /// When.
        at: Instant,
    },
    /// A timer need not come.
    ClearTimer {
        /// Which.
        key: TimerKey,
        /// Which setting of it; 0: it was not set.
        generation: u64,
    },
    /// Work for the shared state.
    Offload {
        /// Its number.
        job: JobId,
        /// Jobs of one source are finished in their order.
        source: u64,
        /// The work.
        work: Job,
    },
    /// An entry for the journal.
    Persist(Entry<Bytes>),
    /// Its end is to be told.
    Monitor {
        /// Whose.
        who: AgentId,
    },
    /// It need not be told.
    Demonitor {
        /// Whose.
        who: AgentId,
    },
    /// A new agent.
    Spawn {
        /// Its id.
        id: AgentId,
        /// What it is.
        spawn: Spawn,
    },
    /// The agent stops.
    Stop,
    /// Something for the record: a name and a number.
    Note(Arc<str>, u64),
}

impl Effect {
    /// Whether it must wait until what the agent persisted before it is durable.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        // Monitors, too: whom they are about may be spawned by one that waits.
        matches!(
            self,
            Self::Send { .. }
                | Self::Reply { .. }
                | Self::Spawn { .. }
                | Self::Monitor { .. }
                | Self::Demonitor { .. }
        )
    }
}
