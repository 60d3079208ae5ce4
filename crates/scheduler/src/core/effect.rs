//! What follows from what happened, for others to hear when it is durable.

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::NodeId;

use super::ranges::IndexSet;
use crate::id::{AttemptId, JobId, ShimId};
use crate::message::{Assigned, Waiting};
use crate::processor::KillRun;

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Work, to a node.
    Assign(ShimId, Vec<Assigned>),
    /// Ends of attempts are known for good.
    Recorded(ShimId, Vec<AttemptId>),
    /// Attempts are to be killed.
    Kill(ShimId, Vec<KillRun>),
    /// Attempts are to come back if they have not started.
    Retract(ShimId, Vec<AttemptId>),
    /// Attempts are blocked, or are to have their room again.
    Waits(ShimId, Vec<Waiting>),
    /// Logs may go.
    DropLogs(NodeId, Vec<AttemptId>),
}

/// All that follows from a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// To be told, in this order.
    pub tell: Vec<Effect>,
    /// Jobs that look otherwise than before.
    pub touched: BTreeSet<JobId>,
    /// Jobs that are gone.
    pub removed: BTreeSet<JobId>,
    /// Tasks that may wait for nothing any more.
    pub undecided: BTreeMap<JobId, IndexSet>,
    /// Tasks that have ended, of jobs that have called others.
    pub callers_ended: BTreeMap<JobId, IndexSet>,
    /// Whether a node looks otherwise than before.
    pub nodes: bool,
}
