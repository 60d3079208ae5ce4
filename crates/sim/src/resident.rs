//! An agent, and what its node keeps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dx_agents::cell::Cell;
use dx_agents::runtime::{Condition, Failures};
use dx_agents::spawn::Factory;
use dx_agents::{AgentId, Options};

use crate::mailbox::Mailbox;
use crate::stage::Stage;

/// See the module.
pub struct Resident {
    pub node: u32,
    pub cell: Cell,
    pub mailbox: Mailbox,
    pub plan: Arc<Plan>,
    pub stage: Option<Box<Stage>>,
    pub failures: Failures,
    pub condition: Condition,
    /// It waits for a core, or is on one.
    pub is_scheduled: bool,
    /// Since which of its node's picks it waits for a core.
    pub ready_since: u64,
    pub watching: BTreeSet<AgentId>,
    pub watchers: BTreeSet<AgentId>,
    pub notes: BTreeMap<Arc<str>, u64>,
}

/// What agents that are alike have in common.
pub struct Plan {
    pub options: Options,
    pub factory: Factory,
    /// Whether its messages travel as datagrams.
    pub is_datagram: bool,
}

impl Resident {
    /// Whether it may take steps other than for the journal.
    pub fn may_work(&self) -> bool {
        self.condition == Condition::Working && !self.cell.is_blocked()
    }

    /// Whether it has anything to do.
    pub fn has_work(&self) -> bool {
        self.mailbox.has_any(self.may_work())
    }

    /// Whether a message to it finds somebody.
    pub fn is_here(&self) -> bool {
        !matches!(self.condition, Condition::Lingering(_))
    }
}
