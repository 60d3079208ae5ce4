//! What happened to a task, in its order.

use dx_agents::NodeId;

use super::end_of;
use crate::client::Step;
use crate::core::Core;
use crate::core::job::{Job, MAX_ATTEMPTS_KEPT};
use crate::core::packed::Packed;
use crate::end::TaskState;

impl Core {
    /// What happened to a task.
    pub(in crate::core) fn steps(&self, job: &Job, index: u32, state: TaskState) -> Vec<Step> {
        let held = if job.spec.hold { ", to be held" } else { "" };
        let name = job.spec.name.as_ref().map_or(String::new(), |name| format!(" `{name}`"));
        let what = match job.ties.caller {
            Some(caller) => format!("attempt {caller} submitted it as job {}{name}{held}", job.id),
            None => format!("{} submitted it as job {}{name}{held}", job.by, job.id),
        };
        let mut steps = vec![Step { at: job.submitted, what }];
        let of_it = |indices: &[(u32, u32)]| {
            indices.iter().any(|&(first, last)| (first..=last).contains(&index))
        };
        let deeds = job.deeds.iter().filter(|deed| of_it(&deed.indices));
        steps.extend(deeds.map(|deed| Step { at: deed.at, what: deed.what.clone() }));
        let is_all = job.attempts(index).count() < MAX_ATTEMPTS_KEPT;
        let mut next = is_all.then_some(1);
        for attempt in job.attempts(index) {
            unused(next.unwrap_or(attempt.number), &attempt, &mut steps);
            self.attempt_steps(job, index, &attempt, &mut steps);
            next = Some(attempt.number + 1);
        }
        steps.sort_by_key(|step| step.at);
        if let Some(due) = job.due.get(index).filter(|_| state == TaskState::Backoff) {
            steps.push(Step { at: due, what: "it may run again".to_owned() });
        }
        steps
    }

    fn attempt_steps(&self, job: &Job, index: u32, it: &Packed, steps: &mut Vec<Step>) {
        let number = it.number;
        let node = self.node_name(NodeId(it.node));
        let mut step = |at: u64, what: String| {
            if at != 0 {
                steps.push(Step { at, what });
            }
        };
        step(it.assigned, format!("attempt {number} was given to node {node}"));
        step(it.started, format!("attempt {number} began to run on node {node}"));
        step(it.ended, format!("attempt {number} {}", end_of(job, index, it)));
    }
}

/// The numbers from `first` on that were given before an attempt, and never used.
fn unused(first: u32, attempt: &Packed, steps: &mut Vec<Step>) {
    let what = match attempt.number - first {
        0 => return,
        1 => format!("attempt {first} had come back from its node before anything of it ran"),
        _ => {
            let last = attempt.number - 1;
            format!("attempts {first} to {last} had come back before anything of them ran")
        }
    };
    steps.push(Step { at: attempt.assigned, what });
}
