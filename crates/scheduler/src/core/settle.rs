//! What is due at the end of a step, whatever it was: leases, times, budgets, work for nodes.

use std::collections::BTreeMap;

use dx_agents::NodeId;

use super::due::{deadline, queue_timeout};
use super::event::{Doom, Event, Loss, Ranges};
use super::job::Job;
use super::place;
use super::ranges::IndexSet;
use super::state::State;
use super::{Config, Core};
use crate::client::Selection;
use crate::end::{End, TaskState};
use crate::id::{AttemptId, JobId, ShimId};
use crate::job::OnCallerEnd;

/// Faults that are a node's own, one after the other, after which it takes no work for a while.
pub const FAULTS_IN_A_ROW: u32 = 3;

/// The first quarantine, in milliseconds. It doubles with each further one.
pub const QUARANTINE: u64 = 30_000;

/// The longest quarantine, in milliseconds.
pub const MAX_QUARANTINE: u64 = 3_600_000;

/// What clocks of different machines may differ by in a lease: 1 in 1,000, and no less than this,
/// in milliseconds. Quartz is off by less than 1 in 10,000.
pub const LEAST_MARGIN: u64 = 1_000;

impl Core {
    /// When something is due, if nothing happens before.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let leases = self.state.nodes.iter().filter(|(_, node)| node.shim.is_some());
        let leases = leases.filter_map(|(id, _)| self.lease_end(*id));
        let quarantines = self.state.nodes.values().filter_map(|node| node.quarantine.as_ref());
        let quarantines = quarantines.map(|it| it.until).filter(|until| *until > self.at);
        let waits = self.live.next_unheard();
        self.state.dues.next().into_iter().chain(leases).chain(quarantines).chain(waits).min()
    }

    /// When the lease of a node ends by this side's clock.
    pub(super) fn lease_end(&self, node: NodeId) -> Option<u64> {
        let margin = (self.config.lease / 1_000).max(LEAST_MARGIN);
        let leased = self.live.nodes.get(&node)?.leased;
        Some(leased.saturating_add(self.config.lease).saturating_add(margin))
    }

    pub(super) fn settle(&mut self) {
        self.end_leases();
        self.end_unheard_waits();
        while let Some(job) = self.state.dues.due(self.at) {
            self.job_is_due(job);
        }
        let touched: Vec<JobId> = self.effects.touched.iter().copied().collect();
        for job in touched {
            self.end_siblings(job);
        }
        loop {
            self.end_called();
            self.decide();
            if self.effects.callers_ended.is_empty() {
                break;
            }
        }
        self.remove_unwanted();
        self.quarantine();
        self.place();
        self.retract();
        self.retire();
    }

    /// What is to end with the task that called it ends, if that has and does not run again.
    fn end_called(&mut self) {
        while let Some((id, indices)) = self.effects.callers_ended.pop_first() {
            let called = indices.ranges().flat_map(|(first, last)| {
                let called = self.state.graph.called_by(id, first, last);
                called.filter(|child| {
                    let child = self.state.job(*child);
                    child.is_some_and(|it| {
                        it.ended.is_none() && it.spec.on_caller_end == OnCallerEnd::Cancel
                    })
                })
            });
            for child in called.collect::<Vec<JobId>>() {
                let caller = self.state.job(child).and_then(|child| child.ties.caller);
                let has_ended = |it: &AttemptId| {
                    self.state.job(id)?.state(it.task.index).map(TaskState::is_ended)
                };
                let Some(caller) = caller.filter(|it| has_ended(it) == Some(true)) else {
                    continue;
                };
                let why = format!("task {}, which called it, has ended", caller.task);
                let cancelled = self.cancel(&Selection::job(child), false, Some(&why));
                cancelled.expect("there is such a job");
            }
        }
    }

    /// Jobs that are to go when they have ended go, if nothing needs them.
    fn remove_unwanted(&mut self) {
        // Those that wait for others go first.
        let touched: Vec<JobId> = self.effects.touched.iter().rev().copied().collect();
        for id in touched {
            let is_over = |job: &Job| job.is_unwanted && job.has_ended();
            if self.state.job(id).is_some_and(is_over) && !self.state.graph.is_needed(id) {
                self.record(Event::Removed(id));
            }
        }
    }

    fn end_leases(&mut self) {
        let over = |id: &NodeId| self.lease_end(*id).is_some_and(|end| end <= self.at);
        let nodes = self.state.nodes.iter().filter(|(id, _)| over(id));
        let silent: Vec<ShimId> = nodes.filter_map(|(id, node)| node.life(*id)).collect();
        for shim in silent {
            self.give_up(shim, Loss::Silence);
        }
    }

    /// A life of a shim is over: what is open there is lost.
    pub(super) fn give_up(&mut self, shim: ShimId, loss: Loss) {
        let node = self.state.node(shim.node).expect("it has joined");
        let open: Vec<AttemptId> = node.open.keys().copied().collect();
        self.lose(&open, loss);
        self.record(Event::GaveUp(shim));
        if let Some(node) = self.live.nodes.get_mut(&shim.node) {
            node.is_here = false;
        }
    }

    fn job_is_due(&mut self, id: JobId) {
        let job = self.state.job(id).expect("it has a time");
        let is_over = |at: Option<u64>| at.is_some_and(|at| at <= self.at);
        if is_over(deadline(job)) {
            self.end_waiting(id, TaskState::Expired, "the job's deadline passed");
            return self.doom(id, |_| true, false, Doom::Deadline, None);
        }
        if is_over(queue_timeout(job)) {
            let queued = job.set(TaskState::Queued);
            let late = job.fresh.ranges().flat_map(|(first, last)| queued.within(first, last));
            let indices: Ranges = late.collect();
            let reason = Some("it waited for longer than its queue_timeout".to_owned());
            return self.record(Event::Set { job: id, indices, state: TaskState::Expired, reason });
        }
        let due: IndexSet = job.due.due(self.at).map(|index| (index, index)).collect();
        let indices = due.ranges().collect();
        self.record(Event::Set { job: id, indices, state: TaskState::Queued, reason: None });
    }

    /// Tasks that wait end so; those that have had an attempt, as it ended.
    pub(super) fn end_waiting(&mut self, id: JobId, state: TaskState, reason: &str) {
        let job = self.state.job(id).expect("the job is there");
        let waits = |state: TaskState| !state.is_ended() && !state.has_attempt();
        let indices = job.select((0, u32::MAX), waits);
        for (state, indices) in by_last_end(job, &indices, state) {
            let reason = Some(reason.to_owned());
            self.record(Event::Set { job: id, indices, state, reason });
        }
    }

    /// Open attempts of tasks in such a state are to be killed.
    pub(super) fn doom(
        &mut self,
        id: JobId,
        is: impl Fn(TaskState) -> bool,
        now: bool,
        why: Doom,
        reason: Option<String>,
    ) {
        let job = self.state.job(id).expect("the job is there");
        let open = job.select((0, u32::MAX), |state| state.has_attempt() && is(state));
        let undoomed = open
            .iter()
            .flat_map(|&(first, last)| first..=last)
            .filter(|index| job.row(*index).is_some_and(|row| row.doom.is_none()));
        let indices: IndexSet = undoomed.map(|index| (index, index)).collect();
        let indices: Ranges = indices.ranges().collect();
        if !indices.is_empty() {
            self.record(Event::Doomed { job: id, indices, now, why, reason });
        }
    }

    /// If too many tasks of a job failed, those that have not started are aborted.
    fn end_siblings(&mut self, id: JobId) {
        let Some(job) = self.state.job(id) else { return };
        let Some(most) = job.spec.max_fails else { return };
        let failed = [TaskState::Failed, TaskState::TimedOut, TaskState::Oom, TaskState::Lost];
        let failed = job.count_where(|state| failed.contains(&state));
        if failed > u64::from(most) && !job.has_ended() {
            let reason = format!("{failed} tasks of the job failed, more than max_fails = {most}");
            self.end_waiting(id, TaskState::Aborted, &reason);
            self.doom(id, |state| state == TaskState::Assigned, true, Doom::Siblings, Some(reason));
        }
    }

    fn quarantine(&mut self) {
        let is_bad = |node: &super::node::Node| {
            node.faults >= FAULTS_IN_A_ROW && !node.is_quarantined(self.at)
                // Once it is over, one more fault is needed.
                && node.faults >= FAULTS_IN_A_ROW + node.rounds
        };
        let bad = self.state.nodes.iter().filter(|(_, node)| is_bad(node));
        let bad: Vec<(NodeId, u32, u32)> =
            bad.map(|(id, node)| (*id, node.faults, node.rounds)).collect();
        for (node, faults, rounds) in bad {
            let span = QUARANTINE.saturating_mul(1_u64.checked_shl(rounds).unwrap_or(u64::MAX));
            let until = self.at.saturating_add(span.min(MAX_QUARANTINE));
            let reason =
                format!("{faults} times in a row attempts could not run for a fault of its own");
            self.record(Event::Quarantined { node, until, reason });
        }
    }

    fn place(&mut self) {
        if self.state.queue.is_empty() {
            return;
        }
        let ready = self.live.nodes.iter().filter(|(_, live)| live.is_here);
        let ready = ready.map(|(id, live)| (*id, live.pace(self.at))).collect();
        for (shim, runs) in place::place(&self.state, &self.config, &ready, self.at) {
            self.record(Event::Assigned { shim, runs });
        }
    }

    /// Jobs that ended first go, where there are too many.
    fn retire(&mut self) {
        let Config { most_ended, most_rows, .. } = self.config;
        let is_too_much = |state: &State| {
            let count = state.ended.len();
            count > most_ended || (state.rows > most_rows && count > 1)
        };
        while is_too_much(&self.state) {
            let (_, job) = *self.state.ended.first().expect("there are many");
            self.record(Event::Removed(job));
        }
    }
}

/// Ranges of tasks that wait, by the state in which each ends if it is to: `state`, or as its last
/// attempt ended.
fn by_last_end(job: &Job, indices: &Ranges, state: TaskState) -> Vec<(TaskState, Ranges)> {
    let mut ended: BTreeMap<TaskState, IndexSet> = BTreeMap::new();
    let fresh = ended.entry(state).or_default();
    for &(first, last) in indices {
        fresh.insert(first, last);
    }
    for &(first, last) in indices {
        let rows = job.rows.from(job.indices.rank_from(first));
        let rows = rows.map(|(rank, row)| (job.indices.at(rank).expect("it has an index"), row));
        for (index, row) in rows.take_while(|(index, _)| *index <= last) {
            if let Some(end) = row.last.end().filter(|end| *end != End::Succeeded) {
                ended.get_mut(&state).expect("it was put in").remove(index, index);
                ended.entry(end.into()).or_default().insert(index, index);
            }
        }
    }
    let some = ended.into_iter().filter(|(_, set)| !set.is_empty());
    some.map(|(state, set)| (state, set.ranges().collect())).collect()
}
