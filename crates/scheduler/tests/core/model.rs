//! What must become of jobs that wait for jobs, told from the journal alone and task by task, in as
//! simple a way as can be.

use std::collections::{BTreeMap, BTreeSet};

use dx_scheduler::core::{Decision, Event, Then};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::{JobId, TaskId};
use dx_scheduler::job::{JobRef, JobSpec, When};

/// See the module.
#[derive(Default)]
pub struct Model {
    specs: BTreeMap<JobId, JobSpec>,
    /// Tasks that have ended.
    ends: BTreeMap<TaskId, TaskState>,
    /// Jobs that were removed, when they had ended.
    removed: BTreeSet<JobId>,
    /// Tasks that may begin, of jobs that wait for others.
    free: BTreeSet<TaskId>,
}

#[derive(Debug, PartialEq, PartialOrd, Clone, Copy)]
enum Verdict {
    Run,
    Skip,
    Abort,
}

impl Model {
    pub fn happened(&mut self, event: &Event) {
        match event {
            Event::Submitted { job, spec, .. } => {
                self.specs.insert(*job, serde_json::from_str(spec).unwrap());
            }
            Event::Assigned { runs, .. } => {
                for run in runs {
                    for index in run.first..run.first + run.count {
                        let waits = self.specs[&run.job].after().next().is_some();
                        let task = run.job.task(index);
                        assert!(!waits || self.free.contains(&task), "{task} begins early");
                    }
                }
            }
            Event::Ended(ends) => {
                for end in ends {
                    if let Then::Over(state) = end.then {
                        self.ends.insert(end.attempt.task, state);
                    }
                }
            }
            Event::Returned { runs, then } if then.is_ended() => {
                for run in runs {
                    let indices = run.first..run.first + run.count;
                    self.ends.extend(indices.map(|index| (run.job.task(index), *then)));
                }
            }
            Event::Set { job, indices, state, .. } if state.is_ended() => {
                self.ends.extend(tasks(*job, indices).map(|task| (task, *state)));
            }
            Event::Decided { job, indices, decision } => {
                tasks(*job, indices).for_each(|task| self.decided(task, *decision));
            }
            Event::Reopened { job, indices } | Event::Revived { job, indices, .. } => {
                for task in tasks(*job, indices) {
                    assert!(self.ends.remove(&task).is_some(), "{task} had ended");
                    self.free.remove(&task);
                }
            }
            Event::Removed(job) => {
                self.specs.remove(job);
                self.ends.retain(|task, _| task.job != *job);
                self.removed.insert(*job);
            }
            _ => {}
        }
    }

    fn decided(&mut self, task: TaskId, decision: Decision) {
        let should = self.verdict(task);
        let (is, root) = match decision {
            Decision::Run => (Verdict::Run, None),
            Decision::Skip { root, .. } => (Verdict::Skip, Some(root)),
            Decision::Abort { root, .. } => (Verdict::Abort, Some(root)),
        };
        assert_eq!(is, should, "{task}");
        let was_over =
            |root: JobId| self.removed.contains(&root) || self.ends.keys().any(|it| it.job == root);
        assert!(root.is_none_or(was_over), "{task} was stopped by {root:?}, which has not ended");
        match is {
            Verdict::Run => {
                self.free.insert(task);
            }
            Verdict::Skip => drop(self.ends.insert(task, TaskState::Skipped)),
            Verdict::Abort => drop(self.ends.insert(task, TaskState::Aborted)),
        }
    }

    fn verdict(&self, task: TaskId) -> Verdict {
        let mut worst = Verdict::Run;
        for (when, _, on) in self.specs[&task.job].after() {
            let JobRef::Number(job) = on.job else { panic!("names stand for numbers") };
            let Some(spec) = self.specs.get(&job) else { continue };
            let all = spec.indices().unwrap().into_iter().flatten();
            let tasks = all.filter(|index| !on.each || *index == task.index);
            let ends: Vec<TaskState> = tasks
                .map(|index| {
                    let end = self.ends.get(&job.task(index));
                    *end.unwrap_or_else(|| panic!("{task} is decided before {job}.{index} ended"))
                })
                .collect();
            let verdict = of(when, &ends);
            worst = if verdict > worst { verdict } else { worst };
        }
        worst
    }
}

fn of(when: When, ends: &[TaskState]) -> Verdict {
    use TaskState::{Expired, Failed, Lost, Oom, Skipped, Succeeded, TimedOut};
    let failed = |end: &TaskState| [Failed, TimedOut, Oom, Lost, Expired].contains(end);
    match when {
        When::Any => Verdict::Run,
        When::Fail if ends.iter().any(failed) => Verdict::Run,
        When::Ok if ends.iter().any(|end| ![Succeeded, Skipped].contains(end)) => Verdict::Abort,
        When::Ok if ends.contains(&Succeeded) => Verdict::Run,
        When::Fail | When::Ok => Verdict::Skip,
    }
}

fn tasks(job: JobId, indices: &[(u32, u32)]) -> impl Iterator<Item = TaskId> + use<> {
    let indices = indices.to_vec();
    indices.into_iter().flat_map(move |(first, last)| (first..=last).map(move |it| job.task(it)))
}
