//! What happened to a task, and why it does not run if it does not.

use super::Core;
use super::job::Job;
use crate::end::TaskState;

/// Why a task does not run, in a line, if it neither runs nor has succeeded.
pub fn reason(core: &Core, job: &Job, index: u32, state: TaskState) -> Option<String> {
    let _ = (core, job, index);
    match state {
        TaskState::Held => Some("it is held".to_owned()),
        _ => None,
    }
}

impl Core {
    /// What happened to a task, and why it does not run.
    pub(super) fn explain(
        &self,
        id: crate::id::TaskId,
    ) -> Result<crate::client::Answer, crate::client::RequestError> {
        let task = self.task_view(id)?;
        let explanation =
            crate::client::Explanation { task, steps: Vec::new(), causes: Vec::new() };
        Ok(crate::client::Answer::Explained(Box::new(explanation)))
    }
}
