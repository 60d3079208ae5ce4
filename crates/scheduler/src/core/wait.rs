//! A task that runs waits for jobs.

use std::collections::{BTreeMap, BTreeSet};

use super::Core;
use super::event::Event;
use super::job::Job;
use super::waits::Stage;
use crate::client::{Answer, MAX_WALK, RequestError};
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};
use crate::job::Problem;

/// The most tasks of a node that are blocked: each still has a process, and its memory. A guess: as
/// many as a small machine bears. What waits beyond it keeps its slot.
pub const MAX_BLOCKED: usize = 256;

/// The most jobs that a task can wait for at a time.
pub const MAX_WAITED: usize = 10_000;

/// How long a task stays blocked of whose wait nothing is heard, in milliseconds: what waits asks
/// again three times as often.
pub const WAIT_KEPT: u64 = 60_000;

impl Core {
    /// An attempt waits for jobs, or, with `leave`, not for these any more. It is to be asked again
    /// until it is over; asking twice is as good as asking once.
    pub(super) fn wait(
        &mut self,
        caller: AttemptId,
        jobs: &[JobId],
        leave: bool,
    ) -> Result<Answer, RequestError> {
        if self.state.open_row(caller).is_none() {
            return Err(RequestError::NotRunning(caller));
        }
        if jobs.len() > MAX_WAITED {
            let what = format!("there are {}; at most {MAX_WAITED} can be waited for", jobs.len());
            return Err(RequestError::Invalid(vec![Problem::new("jobs", what)]));
        }
        let mut left = BTreeSet::new();
        for &id in jobs {
            let is_left = self.job(id)?.ended.is_none();
            left.extend(is_left.then_some(id));
        }
        self.live.heed_wait(caller, self.at);
        if leave {
            self.leave(caller, &left);
            left.clear();
        } else if !left.is_empty() {
            self.join_wait(caller, &left)?;
        }
        Ok(self.wait_view(caller, left.first().copied()))
    }

    /// How a wait stands of whose jobs one is left, or none.
    fn wait_view(&mut self, caller: AttemptId, left: Option<JobId>) -> Answer {
        let is_returning =
            self.state.waits.get(caller).is_some_and(|wait| wait.stage == Stage::Returning);
        let watch = left.or(is_returning.then_some(caller.task.job));
        if watch.is_none() && self.state.waits.blocked_on(caller).is_none() {
            self.live.forget_wait(caller);
        }
        let seen = watch.map(|job| (job, self.live.version_of(job)));
        Answer::Waits { is_over: watch.is_none(), watch: seen }
    }

    /// Jobs that an attempt does not wait for any more.
    fn leave(&mut self, caller: AttemptId, jobs: &BTreeSet<JobId>) {
        if let Some(on) = self.state.waits.blocked_on(caller) {
            let rest: Vec<JobId> = on.difference(jobs).copied().collect();
            if rest.len() < on.len() {
                self.record(Event::Waits { attempt: caller, on: rest });
            }
        }
    }

    /// An attempt waits for these, too. If it cannot be blocked, it keeps its slot.
    fn join_wait(&mut self, caller: AttemptId, jobs: &BTreeSet<JobId>) -> Result<(), RequestError> {
        let before = self.state.waits.blocked_on(caller);
        let new: BTreeSet<JobId> =
            jobs.iter().filter(|job| !before.is_some_and(|on| on.contains(job))).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        if let Some(path) = self.way_to(caller, &new) {
            return Err(RequestError::WaitsForItself { task: caller.task, path });
        }
        let on: Vec<JobId> = new.iter().chain(before.into_iter().flatten()).copied().collect();
        let is_blocked = before.is_some();
        if on.len() <= MAX_WAITED && (is_blocked || self.can_block(caller)) {
            self.record(Event::Waits { attempt: caller, on });
        }
        Ok(())
    }

    /// Whether an attempt runs, is to go on, and finds a place among what is blocked on its node.
    fn can_block(&self, attempt: AttemptId) -> bool {
        let Some((_, row)) = self.state.open_row(attempt) else { return false };
        row.state == TaskState::Running && row.doom.is_none() && !self.is_full_of_blocked(attempt)
    }

    /// Whether as much is blocked on the node of an attempt as may be.
    pub(super) fn is_full_of_blocked(&self, attempt: AttemptId) -> bool {
        let row = self.state.open_row(attempt).map(|(_, row)| row.last.life().node);
        let node = row.and_then(|node| self.state.node(node));
        node.is_some_and(|node| node.blocked >= MAX_BLOCKED)
    }

    /// By which of these jobs, and which they wait for, an attempt would wait for itself.
    fn way_to(&self, caller: AttemptId, jobs: &BTreeSet<JobId>) -> Option<Vec<JobId>> {
        let mut from: BTreeMap<JobId, Option<JobId>> = jobs.iter().map(|it| (*it, None)).collect();
        let mut left: Vec<JobId> = jobs.iter().rev().copied().collect();
        while let Some(id) = left.pop() {
            if id == caller.task.job {
                let mut path = vec![id];
                while let Some(Some(before)) = path.last().map(|it| from[it]) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            let Some(job) = self.state.job(id) else { continue };
            for next in self.waited_for_by(job, caller.task.index) {
                if from.len() < MAX_WALK && !from.contains_key(&next) {
                    from.insert(next, Some(id));
                    left.push(next);
                }
            }
        }
        None
    }

    /// The jobs without whose ends, those of the tasks of this index among them, a job does not end.
    fn waited_for_by<'a>(&'a self, job: &'a Job, index: u32) -> impl Iterator<Item = JobId> + 'a {
        let is_one = job.indices.rank(index).is_some();
        let after = job.ties.after.iter().filter(move |(_, edge)| !edge.each || is_one);
        let blocked = self.state.waits.of_job(job.id).flat_map(|(_, on)| on.iter().copied());
        let all = after.map(|(on, _)| *on).chain(blocked);
        all.filter(|on| self.state.job(*on).is_some_and(|on| on.ended.is_none()))
    }

    /// What nobody has asked for in a long time is to have its room again.
    pub(super) fn end_unheard_waits(&mut self) {
        while let Some(attempt) = self.live.unheard_wait(self.at) {
            if self.state.waits.blocked_on(attempt).is_some() {
                self.record(Event::Waits { attempt, on: Vec::new() });
            }
        }
    }
}
