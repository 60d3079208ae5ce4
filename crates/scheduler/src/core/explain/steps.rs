//! What happened to a task, in its order.

use dx_agents::NodeId;

use super::end_of;
use crate::client::Step;
use crate::core::Core;
use crate::core::job::Job;
use crate::core::packed::Packed;
use crate::end::TaskState;

impl Core {
    /// What happened to a task.
    pub(in crate::core) fn steps(&self, job: &Job, index: u32, state: TaskState) -> Vec<Step> {
        let held = if job.spec.hold { ", to be held" } else { "" };
        let name = job.spec.name.as_ref().map_or(String::new(), |name| format!(" `{name}`"));
        let what = format!("{} submitted it as job {}{name}{held}", job.by, job.id);
        let mut steps = vec![Step { at: job.submitted, what }];
        let of_it = |indices: &[(u32, u32)]| {
            indices.iter().any(|&(first, last)| (first..=last).contains(&index))
        };
        let deeds = job.deeds.iter().filter(|deed| of_it(&deed.indices));
        steps.extend(deeds.map(|deed| Step { at: deed.at, what: deed.what.clone() }));
        for attempt in job.attempts(index) {
            self.attempt_steps(job, index, attempt, &mut steps);
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
