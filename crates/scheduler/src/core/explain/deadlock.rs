//! That what waits for room waits, in the end, for itself.

use std::collections::BTreeSet;

use dx_agents::NodeId;

use super::causes::{MAX_NAMED, cause};
use crate::client::Cause;
use crate::core::Core;
use crate::core::job::Job;
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};

/// The most jobs that are looked at for one task: a deadlock behind more of them is not named.
const MAX_LOOKED: usize = 1_000;

impl Core {
    /// That all there is runs tasks which called jobs that wait for room there, or is blocked and keeps
    /// what is needed: if the former wait for those jobs, nothing ever ends.
    pub(super) fn callers_keep_room(&self, ready: &[NodeId]) -> Option<Cause> {
        let nodes = ready.iter().filter_map(|id| self.state.node(*id));
        let open = nodes.flat_map(|node| &node.open).filter(|(_, hold)| hold.is_charged);
        let mut named = Vec::new();
        let (mut count, mut are_blocked) = (0_usize, true);
        for (attempt, hold) in open {
            let is_stuck = if hold.is_blocked {
                self.first_queued_before(*attempt).is_some()
            } else {
                self.has_called_what_waits(*attempt)
            };
            if !is_stuck {
                return None;
            }
            are_blocked &= hold.is_blocked;
            count += 1;
            if named.len() < MAX_NAMED {
                named.push(attempt.task.to_string());
            }
        }
        let first = named.first()?.clone();
        let more = match count - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (nodes, named) = (self.named(ready), named.join(", "));
        let (what, hint) = if are_blocked {
            let what = format!(
                "deadlock: all that is on {nodes} waits for what waits for room there, and keeps its \
                 memory and custom resources: {named}{more}"
            );
            (what, "or more memory")
        } else {
            let what = format!(
                "deadlock, if they wait for it: all that runs on {nodes} called jobs that wait for \
                 room there: {named}{more}"
            );
            (what, "or more processors")
        };
        Some(cause("deadlock", what, Some(format!("dx job cancel {first}, {hint}"))))
    }

    /// Whether a task called jobs of which something waits for room.
    fn has_called_what_waits(&self, attempt: AttemptId) -> bool {
        let children = self.state.graph.children(attempt.task.job, JobId(0));
        let mut children = children.filter_map(|id| self.state.job(id));
        children.any(|child| {
            let is_own = child.ties.caller.is_some_and(|it| it.task == attempt.task);
            is_own && child.count(TaskState::Queued) + child.count(TaskState::Assigned) > 0
        })
    }

    /// That nothing can end that a blocked task waits for.
    pub(super) fn blocked_for_ever(&self, attempt: AttemptId) -> Option<Cause> {
        let (job, index) = self.first_queued_before(attempt)?;
        let causes = self.causes(job, index, job.state(index)?);
        causes.into_iter().find(|cause| cause.code == "deadlock")
    }

    /// Of what a blocked task waits for, directly or not, the first task that waits for room, if nothing
    /// of it runs or will by itself.
    fn first_queued_before(&self, attempt: AttemptId) -> Option<(&Job, u32)> {
        let (mut seen, mut queued) = (BTreeSet::new(), None);
        let mut left: Vec<JobId> = self.state.waits.blocked_on(attempt)?.iter().copied().collect();
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            if seen.len() > MAX_LOOKED {
                return None;
            }
            let Some(job) = self.state.job(id) else { continue };
            if self.goes_on(job) {
                return None;
            }
            for state in [TaskState::Queued, TaskState::Assigned] {
                let first = job.set(state).ranges().next();
                queued = queued.or(first.map(|(index, _)| (job, index)));
            }
            left.extend(job.ties.after.keys());
            left.extend(self.state.waits.of_job(id).flat_map(|(_, on)| on));
        }
        queued
    }

    /// Whether something of a job runs, or is about to.
    fn goes_on(&self, job: &Job) -> bool {
        let moves = [TaskState::Running, TaskState::Starting, TaskState::Backoff];
        if moves.iter().any(|state| job.count(*state) > 0) {
            return true;
        }
        let charged = |index: &u32| {
            let Some(row) = job.row(*index) else { return false };
            let attempt = job.id.task(*index).attempt(row.last.number);
            let node = self.state.node(row.last.life().node);
            let hold = node.and_then(|node| node.open.get(&attempt));
            // What returns is blocked, and has its room.
            hold.is_some_and(|hold| hold.is_charged && !hold.is_blocked)
        };
        let given = [TaskState::Assigned, TaskState::Blocked];
        let given = given.iter().flat_map(|state| job.set(*state).ranges());
        given.flat_map(|(first, last)| first..=last).take(MAX_LOOKED).any(|index| charged(&index))
    }
}
