//! Jobs that a running task submits.

use super::Planned;
use crate::client::RequestError;
use crate::core::Core;
use crate::core::event::{Event, Ranges};
use crate::core::graph::{MAX_CALLS, MAX_CHILDREN, mark, unnamed};
use crate::end::TaskState;
use crate::id::{AttemptId, JobId};
use crate::job::{JobSpec, Problem};

impl Core {
    /// Whether an attempt may submit so many jobs.
    pub(super) fn check_caller(&self, caller: AttemptId, more: usize) -> Result<(), RequestError> {
        let Some((parent, _)) = self.state.open_row(caller) else {
            return Err(RequestError::NotRunning(caller));
        };
        let wrong = |what: String| Err(RequestError::Invalid(vec![Problem::new("caller", what)]));
        if parent.ties.level + 1 > MAX_CALLS {
            return wrong(format!(
                "{MAX_CALLS} callers are above it, which is the most: does it call itself?"
            ));
        }
        if self.state.graph.children_count(parent.id) + more > MAX_CHILDREN {
            return wrong(format!(
                "job {} has called {MAX_CHILDREN} jobs, which is the most",
                parent.id
            ));
        }
        Ok(())
    }

    /// The job that an earlier attempt of the same task submitted, and this one has not asked for.
    pub(super) fn asked_before(
        &self,
        spec: &JobSpec,
        caller: AttemptId,
        planned: &[Planned],
    ) -> Option<JobId> {
        let unnamed_spec = unnamed(spec);
        let mut like = self.state.graph.unasked(caller.task, mark(spec), caller.number);
        like.find(|id| {
            let is_equal = self.state.job(*id).is_some_and(|it| unnamed(&it.spec) == unnamed_spec);
            is_equal && !planned.iter().any(|other| other.id == *id)
        })
    }

    /// A job is called. If it was before, and failed, it runs again.
    pub(super) fn call(&mut self, id: JobId, by: AttemptId) {
        let job = self.state.job(id).expect("it was taken");
        if job.ties.caller == Some(by) {
            return;
        }
        let was_called = job.ties.caller.is_some_and(|before| before.task == by.task);
        let failed: Ranges = job.select((0, u32::MAX), TaskState::is_failure);
        // A job that was taken without a caller stays its own.
        if job.ties.caller.is_none() && job.submitted != self.at {
            return;
        }
        self.record(Event::Called { job: id, by });
        if was_called && !failed.is_empty() {
            self.record(Event::Reopened { job: id, indices: failed.clone() });
            self.revive(id, &failed);
        }
    }
}
