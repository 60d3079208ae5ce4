//! What the ends of jobs do to those that are tied to them.

use crate::core::effect::Effects;
use crate::core::event::{Decision, Ranges};
use crate::core::graph::mark;
use crate::core::ranges::width;
use crate::core::state::State;
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};

/// All indices.
const ALL: (u32, u32) = (0, u32::MAX);

impl State {
    /// A job is in, or is put back: what follows from what it is tied to.
    pub(in crate::core) fn tie(&mut self, id: JobId) {
        let mut job = self.jobs.remove(&id).expect("the job is there");
        let before = |on: &JobId| self.jobs.get(on);
        let pending =
            job.ties.barriers().filter(|on| before(on).is_some_and(|it| it.ended.is_none()));
        job.ties.pending = pending.count() as u32;
        let depths = job.ties.after.keys().filter_map(before).map(|on| on.ties.depth + 1);
        job.ties.depth = depths.max().unwrap_or(0).max(job.ties.depth);
        self.graph.add(&job, &self.jobs);
        let needs: Vec<JobId> = job.ties.after.keys().copied().collect();
        self.jobs.insert(id, job);
        for on in needs.into_iter().chain([id]) {
            self.shelve(on);
        }
    }

    /// A job has ended, or has not any more.
    pub(super) fn turned(&mut self, id: JobId, out: &mut Effects) {
        let job = &self.jobs[&id];
        let has_ended = job.ended.is_some();
        let needs = job.ties.after.keys().copied().filter(|on| self.jobs.contains_key(on));
        let needs: Vec<JobId> = needs.chain(self.graph.children(id, JobId(0))).collect();
        let waiting: Vec<JobId> = self.graph.barriers(id).collect();
        for other in waiting {
            let ties = &mut self.jobs.get_mut(&other).expect("who waits is there").ties;
            if has_ended {
                ties.pending -= 1;
                if ties.pending == 0 {
                    out.look(other, ALL);
                }
            } else {
                ties.pending += 1;
            }
            out.touched.insert(other);
        }
        if has_ended {
            self.waited_for_ended(id, out);
        }
        for other in needs {
            if !has_ended {
                self.graph.need(other);
            } else if self.graph.need_less(other) {
                out.touched.insert(other);
            }
            self.shelve(other);
        }
        self.shelve(id);
    }

    /// Puts a job among those that may be removed, or not, as it stands.
    fn shelve(&mut self, id: JobId) {
        let Some(at) = self.jobs.get(&id).and_then(|job| job.ended) else { return };
        if self.graph.is_needed(id) {
            self.ended.remove(&(at, id));
        } else {
            self.ended.insert((at, id));
        }
    }

    /// Tasks of a job ended, each by itself.
    pub(super) fn tasks_ended(&self, id: JobId, indices: (u32, u32), out: &mut Effects) {
        for other in self.graph.each(id) {
            out.look(other, indices);
        }
        if self.graph.children_count(id) > 0 {
            out.callers_ended.entry(id).or_default().insert(indices.0, indices.1);
        }
    }

    pub(super) fn decided(
        &mut self,
        id: JobId,
        indices: &Ranges,
        decision: Decision,
        out: &mut Effects,
    ) {
        let (at, job) = (self.at, self.jobs.get_mut(&id).expect("the job is there"));
        let (state, stopped) = match decision {
            Decision::Run => (TaskState::Queued, None),
            Decision::Skip { via, root } => (TaskState::Skipped, Some((via, root))),
            Decision::Abort { via, root } => (TaskState::Aborted, Some((via, root))),
        };
        for &(first, last) in indices {
            job.set_states(first, last, state);
            if let Some(by) = stopped {
                job.ties.through.entry(by).or_default().insert(first, last);
                self.unended -= width(first, last);
            }
        }
        if stopped.is_none() {
            job.ties.freed = at;
        }
        let each = job.ties.after.values().any(|edge| edge.each);
        if !each {
            job.did(at, indices, said(decision));
        }
        if state.is_ended() {
            for range in indices {
                self.tasks_ended(id, *range, out);
            }
        }
        self.refresh(id, out);
    }

    pub(super) fn called(&mut self, id: JobId, by: AttemptId, out: &mut Effects) {
        let mut job = self.jobs.remove(&id).expect("the job is there");
        if let Some(parent) = self.jobs.get(&by.task.job) {
            job.ties.level = parent.ties.level + 1;
            self.graph.remove_child(&job, self.jobs.get(&by.task.job));
            job.ties.caller = Some(by);
            job.ties.mark = mark(&job.spec);
            self.graph.add_child(parent, &job);
        }
        self.jobs.insert(id, job);
        self.shelve(id);
        out.touched.extend([id, by.task.job]);
    }

    pub(super) fn revived(&mut self, id: JobId, indices: &Ranges, via: JobId, out: &mut Effects) {
        let (at, job) = (self.at, self.jobs.get_mut(&id).expect("the job is there"));
        for &(first, last) in indices {
            job.set_states(first, last, TaskState::Waiting);
            job.ties.forget(first, last);
            self.unended += width(first, last);
            out.look(id, (first, last));
        }
        job.opened = at;
        job.did(at, indices, format!("it waits again, since job {via} was opened again"));
        self.refresh(id, out);
    }
}

/// A decision, for people.
fn said(decision: Decision) -> String {
    let by = |via: JobId, root: JobId| {
        if via == root { String::new() } else { format!(", which came from job {root}") }
    };
    match decision {
        Decision::Run => "all that it waits for ended as it is to".to_owned(),
        Decision::Skip { via, root } => {
            format!("it was skipped: job {via} did not end so that it is to run{}", by(via, root))
        }
        Decision::Abort { via, root } => {
            format!("it was aborted: job {via} did not succeed{}", by(via, root))
        }
    }
}

impl Effects {
    /// Tasks of a job may wait for nothing any more.
    pub(super) fn look(&mut self, job: JobId, (first, last): (u32, u32)) {
        self.undecided.entry(job).or_default().insert(first, last);
    }
}
