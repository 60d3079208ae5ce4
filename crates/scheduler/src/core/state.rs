//! All that the journal says.

use std::collections::BTreeMap;

use dx_agents::NodeId;

use super::due::Dues;
use super::graph::Graph;
use super::job::Job;
use super::node::Node;
use super::queue::Queue;
use super::rows::Row;
use super::waits::Waits;
use crate::id::{AttemptId, JobId, TaskId, Term};

/// The state of all jobs and nodes. It follows from the batches of events and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The controller's life.
    pub term: Term,
    /// The time of the last batch.
    pub at: u64,
    /// The number of the job that was taken last.
    pub last_job: u64,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// Whose ids of requests stand for which job.
    pub(super) requests: BTreeMap<(String, String), JobId>,
    /// Tasks of all jobs that have not ended.
    pub(super) unended: u64,
    /// Tasks of all jobs that have had an attempt.
    pub(super) rows: u64,
    /// Jobs that have ended and that nothing needs, by the time of it.
    pub(super) ended: std::collections::BTreeSet<(u64, JobId)>,
    /// Bytes of all jobs apart from their tasks.
    pub(super) job_bytes: u64,
    pub(super) graph: Graph,
    pub(super) queue: Queue,
    pub(super) dues: Dues,
    pub(super) waits: Waits,
}

impl State {
    /// What a node was given that has not ended, in the order in which it was given.
    #[must_use]
    pub fn open_on(&self, node: NodeId) -> Vec<AttemptId> {
        let Some(node) = self.nodes.get(&node) else { return Vec::new() };
        let mut open: Vec<(u64, AttemptId)> =
            node.open.iter().map(|(attempt, hold)| (hold.at, *attempt)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, attempt)| attempt).collect()
    }

    /// A job.
    pub(super) fn job(&self, job: JobId) -> Option<&Job> {
        self.jobs.get(&job)
    }

    /// A node that ever joined, or was drained.
    pub(super) fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// The row of an attempt, if it has not ended.
    pub(super) fn open_row(&self, attempt: AttemptId) -> Option<(&Job, Row)> {
        let TaskId { job, index } = attempt.task;
        let job = self.jobs.get(&job)?;
        let row = job.row(index)?;
        row.is_open(attempt.number).then_some((job, row))
    }
}
