//! An agent and what its worker keeps of it. It moves between workers as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use dx_transport::time::Instant;

use crate::cell::Cell;
use crate::erased::ErasedAgent;
use crate::event::Down;
use crate::id::AgentId;
use crate::runtime::alarms::Alarm;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::stage::Stage;
use crate::runtime::supervise::Failures;
use crate::spec::{Restart, WhenFull};

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
    /// Whose end it wants to hear of.
    pub watching: BTreeSet<AgentId>,
    /// Alarms on the way to another worker.
    pub alarms: Vec<(Instant, Alarm)>,
}

/// What does not change while an agent lives; shared by agents that are alike.
pub struct Plan {
    /// Makes the agent again.
    pub factory: Arc<dyn Fn() -> Box<dyn ErasedAgent> + Send + Sync>,
    /// What happens when it fails.
    pub restart: Restart,
    /// What happens to its sends that find no room.
    pub full: WhenFull,
}

/// Whether an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Working,
    /// It failed and starts anew later.
    Restarting,
    /// It has ended, so; only what waits for the journal has still to leave.
    Lingering(Down),
}

impl Condition {
    /// How whoever asked it something hears of it.
    pub fn down(self) -> Option<Down> {
        match self {
            Self::Working => None,
            Self::Restarting => Some(Down::Restarted),
            Self::Lingering(why) => Some(why),
        }
    }
}

impl Resident {
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
