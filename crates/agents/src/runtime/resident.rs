//! An agent and what its worker keeps of it. It moves between workers as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cell::Cell;
use crate::id::AgentId;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::stage::Stage;
use crate::runtime::supervise::{Condition, Failures};
use crate::spawn::Plan;

/// See the module.
pub struct Resident {
    /// Its place with its worker.
    pub slot: u32,
    pub cell: Cell,
    pub mailbox: Arc<Mailbox>,
    pub plan: Arc<Plan>,
    pub stage: Option<Arc<Stage>>,
    pub failures: Option<Box<Failures>>,
    pub condition: Condition,
    /// Whether a turn of it was long: its next one is timed step by step.
    pub is_suspect: bool,
    /// Whose end it wants to hear of, if it is anybody's.
    #[expect(clippy::box_collection, reason = "most agents watch nobody: 8 bytes instead of 24")]
    pub watching: Option<Box<BTreeSet<AgentId>>>,
}

impl Resident {
    /// It wants to hear of the end of `who` no longer.
    pub fn forget(&mut self, who: AgentId) {
        if let Some(watching) = &mut self.watching {
            watching.remove(&who);
        }
    }

    /// Its id.
    pub fn id(&self) -> AgentId {
        self.cell.id()
    }

    /// How many messages a turn may handle.
    pub fn budget(&self, full: usize) -> usize {
        match self.condition {
            Condition::Restarting | Condition::Lingering(_) => 0,
            Condition::Working if self.cell.is_blocked() => 0,
            Condition::Working if self.is_suspect => 1,
            Condition::Working => full,
        }
    }
}
