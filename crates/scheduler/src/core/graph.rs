//! Which jobs wait for which, and who called whom: the edges backwards, so that nothing is searched.
//!
//! *Invariant:* a job's number is higher than those of all it waits for, and of its caller: there is
//! no cycle, and what follows from an end is decided in the order of numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::job::Job;
use super::ranges::IndexSet;
use crate::end::TaskState;
use crate::id::{AttemptId, JobId, TaskId};
use crate::job::{Dependency, JobRef, JobSpec, When};

/// The most jobs that may wait for one job. What is wider goes through a job between.
pub const MAX_DEPENDANTS: usize = 100_000;

/// The longest chain of jobs, each of which waits for the one before.
pub const MAX_CHAIN: u32 = 10_000;

/// The most calls from a task to a job, and from that to another. A guess: what is deeper calls itself
/// by mistake.
pub const MAX_CALLS: u32 = 100;

/// The most jobs that the tasks of one job may call.
pub const MAX_CHILDREN: usize = 200_000;

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub when: When,
    /// Index by index; else it waits for all tasks there.
    pub each: bool,
}

/// How a job is tied to others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ties {
    /// What it waits for. Of these, some may have been removed since.
    pub after: BTreeMap<JobId, Edge>,
    /// How many jobs, as a whole, it still waits for.
    pub pending: u32,
    /// Tasks that were aborted or skipped by what a job came to, which came from the end of another:
    /// via, and root.
    pub through: BTreeMap<(JobId, JobId), IndexSet>,
    /// How many jobs are in the longest chain before it.
    pub depth: u32,
    /// When tasks of it became queued last because what they wait for had ended.
    pub freed: u64,
    /// Who submitted it, if that was a task.
    pub caller: Option<AttemptId>,
    /// How many callers are above it.
    pub level: u32,
    /// What equal children of a task have in common; 0 if it was not called.
    pub mark: u64,
}

impl Ties {
    /// Those of a job that was just taken. Its names stand for numbers.
    pub fn of(spec: &JobSpec) -> Self {
        let edges = spec.after().filter_map(|(when, _, Dependency { job, each })| match job {
            JobRef::Number(job) => Some((*job, Edge { when, each: *each })),
            JobRef::Name(_) => None,
        });
        Self { after: edges.collect(), ..Self::default() }
    }

    /// What tasks from `first` to `last` were stopped by does not matter any more.
    pub fn forget(&mut self, first: u32, last: u32) {
        self.through.retain(|_, set| {
            set.remove(first, last);
            !set.is_empty()
        });
    }

    /// Via which job a task was stopped, and from which that came.
    pub fn stopped(&self, index: u32) -> Option<(JobId, JobId)> {
        self.through.iter().find(|(_, set)| set.contains(index)).map(|(of, _)| *of)
    }

    /// The jobs that it waits for as a whole.
    pub fn barriers(&self) -> impl Iterator<Item = JobId> + '_ {
        self.after.iter().filter(|(_, edge)| !edge.each).map(|(on, _)| *on)
    }
}

/// The edges backwards, and what is counted of them. It follows from the jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    barriers: BTreeMap<JobId, BTreeSet<JobId>>,
    each: BTreeMap<JobId, BTreeSet<JobId>>,
    children: BTreeMap<JobId, BTreeSet<JobId>>,
    /// Children by the task that called them: what equal ones have in common, the attempt that asked
    /// for them last, and their numbers.
    asked: BTreeMap<TaskId, BTreeSet<(u64, u32, JobId)>>,
    /// How many jobs that have not ended need a job: those that wait for it, and its caller.
    needed: BTreeMap<JobId, u32>,
}

impl Graph {
    /// Puts in what a job waits for, of what is there.
    pub fn add(&mut self, job: &Job, jobs: &BTreeMap<JobId, Job>) {
        for (on, edge) in job.ties.after.iter().filter(|(on, _)| jobs.contains_key(on)) {
            let edges = if edge.each { &mut self.each } else { &mut self.barriers };
            edges.entry(*on).or_default().insert(job.id);
            if job.ended.is_none() {
                self.need(*on);
            }
        }
        if let Some(caller) = job.ties.caller
            && let Some(parent) = jobs.get(&caller.task.job)
        {
            self.add_child(parent, job);
        }
    }

    /// Puts in that a task of `parent` called a job.
    pub fn add_child(&mut self, parent: &Job, child: &Job) {
        self.children.entry(parent.id).or_default().insert(child.id);
        if let Some((task, asked)) = asked_by(child) {
            self.asked.entry(task).or_default().insert(asked);
        }
        if parent.ended.is_none() {
            self.need(child.id);
        }
    }

    /// Takes out that a job was called, if it was.
    pub fn remove_child(&mut self, child: &Job, parent: Option<&Job>) {
        let Some((task, asked)) = asked_by(child) else { return };
        if let Some(set) = self.asked.get_mut(&task) {
            set.remove(&asked);
            if set.is_empty() {
                self.asked.remove(&task);
            }
        }
        take(&mut self.children, task.job, child.id);
        if parent.is_some_and(|parent| parent.ended.is_none()) {
            self.need_less(child.id);
        }
    }

    /// The children of a task that are like this by their mark, and that no attempt from `number` on
    /// asked for, those that were asked for earliest first.
    pub fn unasked(
        &self,
        task: TaskId,
        mark: u64,
        number: u32,
    ) -> impl Iterator<Item = JobId> + '_ {
        let range = (mark, 0, JobId(0))..(mark, number, JobId(0));
        self.asked
            .get(&task)
            .into_iter()
            .flat_map(move |set| set.range(range.clone()))
            .map(|it| it.2)
    }

    /// The jobs that tasks of a job called, by task.
    pub fn called_by(&self, of: JobId, first: u32, last: u32) -> impl Iterator<Item = JobId> + '_ {
        let tasks = self.asked.range(of.task(first)..=of.task(last));
        tasks.flat_map(|(_, asked)| asked.iter().map(|(.., job)| *job))
    }

    /// Takes out a job that has ended and that nothing needs.
    pub fn remove(&mut self, job: &Job) {
        for (on, edge) in &job.ties.after {
            take(if edge.each { &mut self.each } else { &mut self.barriers }, *on, job.id);
        }
        // Its caller has ended: else it would be needed.
        self.remove_child(job, None);
        self.barriers.remove(&job.id);
        self.each.remove(&job.id);
        // They keep by whom they were called, and that is gone.
        self.children.remove(&job.id);
        let tasks = job.id.task(0)..=job.id.task(u32::MAX);
        let gone: Vec<TaskId> = self.asked.range(tasks).map(|(task, _)| *task).collect();
        for task in gone {
            self.asked.remove(&task);
        }
    }

    /// One more needs it.
    pub fn need(&mut self, job: JobId) {
        *self.needed.entry(job).or_default() += 1;
    }

    /// One less needs it; says whether that was the last.
    pub fn need_less(&mut self, job: JobId) -> bool {
        let Some(count) = self.needed.get_mut(&job) else { return false };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.needed.remove(&job);
        }
        is_last
    }

    /// Whether something that has not ended needs it.
    pub fn is_needed(&self, job: JobId) -> bool {
        self.needed.contains_key(&job)
    }

    /// Who waits for all of a job.
    pub fn barriers(&self, on: JobId) -> impl Iterator<Item = JobId> + '_ {
        self.barriers.get(&on).into_iter().flatten().copied()
    }

    /// Who waits for a job index by index.
    pub fn each(&self, on: JobId) -> impl Iterator<Item = JobId> + '_ {
        self.each.get(&on).into_iter().flatten().copied()
    }

    /// Who waits for a job, in whatever way.
    pub fn dependants(&self, on: JobId) -> BTreeSet<JobId> {
        self.barriers(on).chain(self.each(on)).collect()
    }

    /// How many wait for a job.
    pub fn width(&self, on: JobId) -> usize {
        let len = |of: &BTreeMap<JobId, BTreeSet<JobId>>| of.get(&on).map_or(0, BTreeSet::len);
        len(&self.barriers) + len(&self.each)
    }

    /// The jobs that a job called, from a number on.
    pub fn children(&self, of: JobId, from: JobId) -> impl Iterator<Item = JobId> + '_ {
        self.children.get(&of).into_iter().flat_map(move |set| set.range(from..)).copied()
    }

    /// How many jobs a job called.
    pub fn children_count(&self, of: JobId) -> usize {
        self.children.get(&of).map_or(0, BTreeSet::len)
    }
}

/// By which task a job was called, and how it is found again: its mark, and the attempt.
fn asked_by(child: &Job) -> Option<(TaskId, (u64, u32, JobId))> {
    let caller = child.ties.caller?;
    Some((caller.task, (child.ties.mark, caller.number, child.id)))
}

fn take(from: &mut BTreeMap<JobId, BTreeSet<JobId>>, of: JobId, job: JobId) {
    if let Some(set) = from.get_mut(&of) {
        set.remove(&job);
        if set.is_empty() {
            from.remove(&of);
        }
    }
}

/// What equal jobs have in common, whatever their `request_id`.
pub fn mark(spec: &JobSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&unnamed(spec)).expect("it has text keys only").hash(&mut hasher);
    hasher.finish()
}

/// The same job without a `request_id`.
pub fn unnamed(spec: &JobSpec) -> JobSpec {
    JobSpec { request_id: None, ..spec.clone() }
}

/// Whether tasks that ended so are what `after_fail` waits for.
pub fn is_failing(state: TaskState) -> bool {
    use TaskState::{Expired, Failed, Lost, Oom, TimedOut};
    matches!(state, Failed | TimedOut | Oom | Lost | Expired)
}
