//! What is said to runners about what happened.

use std::sync::Arc;

use dx_agents::NodeId;

use super::Core;
use super::effect::Effect;
use super::hear::push;
use crate::id::{AttemptId, JobId, ShimId};
use crate::message::{Assigned, ToRunner};

/// The most attempts in a message.
pub const MAX_PER_MESSAGE: usize = 10_000;

/// Bytes of jobs' descriptions after which a message with work ends: half of what a message may
/// have, and more than the longest description.
const MAX_DESCRIBED: usize = 8 << 20;

impl Core {
    /// Effects as messages, in their order.
    pub(super) fn told(&mut self, effects: Vec<Effect>) -> Vec<(NodeId, ToRunner)> {
        let term = self.state.term;
        let mut told = Vec::new();
        for effect in effects {
            match effect {
                Effect::Assign(shim, runs) => self.tell_runs(shim, runs, &mut told),
                Effect::Recorded(shim, attempts) => {
                    told.push((shim.node, ToRunner::Recorded { term, shim, attempts }));
                }
                Effect::Kill(shim, attempts) => {
                    told.push((shim.node, ToRunner::Kill { term, shim, attempts }));
                }
                Effect::Retract(shim, attempts) => {
                    if let Some(node) = self.live.nodes.get_mut(&shim.node) {
                        node.retracting.extend(&attempts);
                    }
                    told.push((shim.node, ToRunner::Retract { term, shim, attempts }));
                }
                Effect::Waits(shim, waits) => {
                    told.push((shim.node, ToRunner::Waits { term, shim, waits }));
                }
                Effect::DropLogs(node, attempts) => {
                    told.extend(attempts.chunks(MAX_PER_MESSAGE).map(|attempts| {
                        (node, ToRunner::DropLogs { term, attempts: attempts.to_vec() })
                    }));
                }
            }
        }
        told
    }

    /// What a node never got is sent again, with the same numbers.
    pub(super) fn assign_again(&mut self, shim: ShimId, attempts: Vec<AttemptId>) {
        let mut runs = Vec::new();
        for AttemptId { task, number } in attempts {
            push(&mut runs, Assigned { job: task.job, first: task.index, count: 1, number });
        }
        if !runs.is_empty() {
            let mut told = Vec::new();
            self.tell_runs(shim, runs, &mut told);
            self.replies.extend(told);
        }
    }

    fn tell_runs(&mut self, shim: ShimId, runs: Vec<Assigned>, told: &mut Vec<(NodeId, ToRunner)>) {
        let Some(node) = self.live.nodes.get_mut(&shim.node) else { return };
        let term = self.state.term;
        let (mut jobs, mut some, mut bytes) = (Vec::<(JobId, Arc<str>)>::new(), Vec::new(), 0);
        for run in runs {
            if let Some(job) = self.state.job(run.job)
                && node.told.insert(run.job)
            {
                bytes += job.json.len();
                jobs.push((run.job, Arc::clone(&job.json)));
            }
            some.push(run);
            if bytes > MAX_DESCRIBED {
                let (jobs, runs) = (std::mem::take(&mut jobs), std::mem::take(&mut some));
                told.push((shim.node, ToRunner::Assign { term, shim, jobs, runs }));
                bytes = 0;
            }
        }
        if !some.is_empty() {
            told.push((shim.node, ToRunner::Assign { term, shim, jobs, runs: some }));
        }
    }
}
