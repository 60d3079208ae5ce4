//! What becomes of attempts that wait for jobs.

use std::collections::BTreeSet;

use crate::core::effect::Effects;
use crate::core::state::State;
use crate::core::waits::{Stage, Wait};
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};
use crate::message::Waiting;

impl State {
    /// An attempt that runs is blocked, or one that is blocked waits for other jobs than before.
    pub(super) fn waits_for(&mut self, attempt: AttemptId, on: &[JobId], out: &mut Effects) {
        let on: BTreeSet<JobId> = on.iter().copied().collect();
        if self.waits.blocked_on(attempt).is_some() {
            self.wait_goes_on(attempt, on, out);
        } else {
            let round = self.waits.get(attempt).map_or(0, |wait| wait.round) + 1;
            self.waits.put(attempt, Wait { round, stage: Stage::Blocked(on) });
            self.turn_blocked(attempt, round, out);
        }
        out.touched.insert(attempt.task.job);
    }

    fn turn_blocked(&mut self, attempt: AttemptId, round: u32, out: &mut Effects) {
        let job = self.jobs.get_mut(&attempt.task.job).expect("the job is there");
        job.set_row_state(attempt.task.index, TaskState::Blocked);
        let shim = job.row(attempt.task.index).expect("it has an attempt").last.life();
        self.nodes.get_mut(&shim.node).expect("the node has joined").block(attempt);
        out.wait(shim, Waiting { attempt, round, is_over: false });
        out.nodes = true;
    }

    /// A blocked attempt waits for these from now on; if for none, it is to have its room again.
    fn wait_goes_on(&mut self, attempt: AttemptId, on: BTreeSet<JobId>, out: &mut Effects) {
        let round = self.waits.get(attempt).expect("it is blocked").round;
        if !on.is_empty() {
            return self.waits.put(attempt, Wait { round, stage: Stage::Blocked(on) });
        }
        self.waits.put(attempt, Wait { round, stage: Stage::Returning });
        let (_, row) = self.open_row(attempt).expect("what waits is open");
        let shim = row.last.life();
        self.nodes.get_mut(&shim.node).expect("the node has joined").unblock(attempt);
        out.wait(shim, Waiting { attempt, round, is_over: true });
        out.touched.insert(attempt.task.job);
        out.nodes = true;
    }

    /// A job has ended: nobody waits for it any more.
    pub(super) fn waited_for_ended(&mut self, id: JobId, out: &mut Effects) {
        for attempt in self.waits.on(id) {
            let mut on = self.waits.blocked_on(attempt).expect("it waits for the job").clone();
            on.remove(&id);
            self.wait_goes_on(attempt, on, out);
        }
    }

    pub(super) fn resumed(&mut self, attempts: &[AttemptId], out: &mut Effects) {
        for &attempt in attempts {
            let round = self.waits.get(attempt).expect("it returns").round;
            self.waits.put(attempt, Wait { round, stage: Stage::Over });
            let job = self.jobs.get_mut(&attempt.task.job).expect("the job is there");
            job.set_row_state(attempt.task.index, TaskState::Running);
            out.touched.insert(attempt.task.job);
        }
        out.nodes = true;
    }
}
