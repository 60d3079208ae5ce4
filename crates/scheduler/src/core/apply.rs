//! What events do to the state.
//!
//! Nothing is decided here: an event that does not fit the state is a fault of whoever made it, and
//! of a journal that is not its own.

mod attempts;
mod nodes;
mod ties;
mod waiting;

pub(super) use attempts::{Blame, blame};

use super::effect::{Effect, Effects};
use super::event::{Doom, Event, Ranges};
use super::job::Job;
use super::ranges::width;
use super::state::State;
use super::submit::bytes_of;
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};
use crate::job::JobSpec;
use crate::message::Waiting;
use crate::processor::KillRun;

impl State {
    /// What an event does, at the time `at`.
    pub(super) fn apply(&mut self, at: u64, event: &Event, out: &mut Effects) {
        self.at = at;
        match event {
            Event::Began(term) => self.term = *term,
            Event::Submitted { job, spec, by } => {
                let parsed: JobSpec = serde_json::from_str(spec).expect("it was written by a spec");
                let taken = Job::new(*job, parsed, spec.clone(), by.clone(), at);
                self.last_job = self.last_job.max(job.0);
                self.unended += u64::from(taken.indices.len());
                self.job_bytes += bytes_of(spec);
                if let Some(id) = &taken.spec.request_id {
                    self.requests.insert((by.clone(), id.clone()), *job);
                }
                let all: Ranges = taken.indices.ranges().collect();
                self.jobs.insert(*job, taken);
                self.tie(*job);
                for range in all {
                    out.look(*job, range);
                }
                self.refresh(*job, out);
            }
            Event::Joined { shim, capacity, kill, memory } => {
                self.joined(*shim, capacity, *kill, *memory, out);
            }
            Event::GaveUp(shim) => self.gave_up(*shim, out),
            Event::Assigned { shim, runs } => self.assigned(*shim, runs, out),
            Event::Moved { is_running, runs } => self.moved(*is_running, runs, out),
            Event::Ended(ends) => self.attempts_ended(ends, out),
            Event::Returned { runs, then } => self.returned(runs, *then, out),
            Event::Overran(attempts) => self.overran(attempts, out),
            Event::Doomed { job, indices, now, why, reason } => {
                self.doomed(*job, (indices, *now, *why), reason.as_deref(), out);
            }
            Event::Set { job, indices, state, reason } => {
                self.set(*job, indices, *state, reason.as_deref(), out);
            }
            Event::HoldWanted { job, indices, wanted } => {
                self.hold_wanted(*job, indices, *wanted, out);
            }
            Event::Reopened { job, indices } => self.reopened(*job, indices, out),
            Event::Prioritised { job, priority } => {
                let it = self.jobs.get_mut(job).expect("the job is there");
                let all: Ranges = it.indices.ranges().collect();
                it.priority = *priority;
                it.did(at, &all, format!("its priority became {priority}"));
                self.refresh(*job, out);
            }
            Event::RemovalWanted(job) => {
                self.jobs.get_mut(job).expect("the job is there").is_unwanted = true;
            }
            Event::Removed(job) => self.removed(*job, out),
            Event::Drained { node, reason } => self.drained(*node, reason.clone(), out),
            Event::Undrained(node) => self.undrained(*node, out),
            Event::Quarantined { node, until, reason } => {
                self.quarantined(*node, *until, reason, out);
            }
            Event::Decided { job, indices, decision } => {
                self.decided(*job, indices, *decision, out);
            }
            Event::Called { job, by } => self.called(*job, *by, out),
            Event::Revived { job, indices, via } => self.revived(*job, indices, *via, out),
            Event::Waits { attempt, on } => self.waits_for(*attempt, on, out),
            Event::Resumed(attempts) => self.resumed(attempts, out),
        }
    }

    /// Keeps what follows from a job's tasks in step with them.
    fn refresh(&mut self, id: JobId, out: &mut Effects) {
        let job = self.jobs.get_mut(&id).expect("the job is there");
        let has_turned = job.has_ended() != job.ended.is_some();
        match job.ended {
            Some(at) if has_turned => {
                job.ended = None;
                self.ended.remove(&(at, id));
            }
            None if has_turned => job.ended = Some(self.at),
            _ => {}
        }
        self.queue.refresh(job);
        self.dues.refresh(job);
        out.touched.insert(id);
        if has_turned {
            self.turned(id, out);
        }
    }

    fn set(
        &mut self,
        id: JobId,
        indices: &Ranges,
        state: TaskState,
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let (at, job) = (self.at, self.jobs.get_mut(&id).expect("the job is there"));
        for &(first, last) in indices {
            job.set_states(first, last, state);
            if state.is_ended() {
                self.unended -= width(first, last);
            }
        }
        if state == job.first_state() && reason.is_some() {
            job.opened = at;
        }
        if let Some(reason) = reason {
            job.did(at, indices, reason.to_owned());
        }
        for range in indices {
            if state == TaskState::Waiting {
                out.look(id, *range);
            } else if state.is_ended() {
                self.tasks_ended(id, *range, out);
            }
        }
        self.refresh(id, out);
    }

    fn doomed(
        &mut self,
        id: JobId,
        (indices, now, why): (&Ranges, bool, Doom),
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let (at, job) = (self.at, self.jobs.get_mut(&id).expect("the job is there"));
        for index in indices.iter().flat_map(|&(first, last)| first..=last) {
            let row = job.row_mut(index).expect("it has an attempt");
            let (is_first, shim) = (row.doom.is_none(), row.last.life());
            row.doom = row.doom.or(Some(why));
            row.doom_now |= now;
            let attempt = AttemptId { task: id.task(index), number: row.last.number };
            job.doomed += u64::from(is_first);
            out.kill(shim, KillRun { attempt, now });
        }
        if let Some(reason) = reason {
            job.did(at, indices, reason.to_owned());
        }
        self.refresh(id, out);
    }

    fn hold_wanted(&mut self, id: JobId, indices: &Ranges, wanted: bool, out: &mut Effects) {
        let job = self.jobs.get_mut(&id).expect("the job is there");
        for index in indices.iter().flat_map(|&(first, last)| first..=last) {
            let row = job.row_mut(index).expect("it has an attempt");
            row.hold = wanted;
            if wanted {
                let attempt = AttemptId { task: id.task(index), number: row.last.number };
                out.retract(row.last.life(), attempt);
            }
        }
        self.refresh(id, out);
    }

    fn reopened(&mut self, id: JobId, indices: &Ranges, out: &mut Effects) {
        let (at, job) = (self.at, self.jobs.get_mut(&id).expect("the job is there"));
        for &(first, last) in indices {
            job.set_states(first, last, job.first_state());
            job.reset_budgets(first, last);
            job.ties.forget(first, last);
            self.unended += width(first, last);
            out.look(id, (first, last));
        }
        job.opened = at;
        job.did(at, indices, "it was opened again".to_owned());
        self.refresh(id, out);
    }

    fn removed(&mut self, id: JobId, out: &mut Effects) {
        let job = self.jobs.remove(&id).expect("the job is there");
        self.queue.remove(&job);
        self.dues.remove(id);
        self.graph.remove(&job);
        self.job_bytes -= bytes_of(&job.json);
        self.rows -= job.rows.len();
        if let Some(at) = job.ended {
            self.ended.remove(&(at, id));
        }
        if let Some(request) = &job.spec.request_id {
            self.requests.remove(&(job.by.clone(), request.clone()));
        }
        for (index, attempt) in job.all_attempts() {
            let id = AttemptId { task: id.task(index), number: attempt.number };
            out.drop_log(dx_agents::NodeId(attempt.node), id);
        }
        out.touched.remove(&id);
        out.removed.insert(id);
    }
}

impl Effects {
    /// An attempt is to be killed.
    fn kill(&mut self, shim: crate::id::ShimId, run: KillRun) {
        match self.tell.last_mut() {
            Some(Effect::Kill(to, runs)) if *to == shim => runs.push(run),
            _ => self.tell.push(Effect::Kill(shim, vec![run])),
        }
    }

    /// An attempt is to come back.
    pub(super) fn retract(&mut self, shim: crate::id::ShimId, attempt: AttemptId) {
        match self.tell.last_mut() {
            Some(Effect::Retract(to, attempts)) if *to == shim => attempts.push(attempt),
            _ => self.tell.push(Effect::Retract(shim, vec![attempt])),
        }
    }

    /// The end of an attempt is known for good.
    pub(super) fn recorded(&mut self, shim: crate::id::ShimId, attempt: AttemptId) {
        match self.tell.last_mut() {
            Some(Effect::Recorded(to, attempts)) if *to == shim => attempts.push(attempt),
            _ => self.tell.push(Effect::Recorded(shim, vec![attempt])),
        }
    }

    /// An attempt is blocked, or is to have its room again.
    pub(super) fn wait(&mut self, shim: crate::id::ShimId, waiting: Waiting) {
        match self.tell.last_mut() {
            Some(Effect::Waits(to, waits)) if *to == shim => waits.push(waiting),
            _ => self.tell.push(Effect::Waits(shim, vec![waiting])),
        }
    }

    /// A log may go.
    fn drop_log(&mut self, node: dx_agents::NodeId, attempt: AttemptId) {
        match self.tell.last_mut() {
            Some(Effect::DropLogs(to, attempts)) if *to == node => attempts.push(attempt),
            _ => self.tell.push(Effect::DropLogs(node, vec![attempt])),
        }
    }
}
