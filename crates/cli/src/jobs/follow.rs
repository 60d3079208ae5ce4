//! A task as it runs: what all its attempts print, one after the other, until it has ended.

use std::io;

use dx_scheduler::client::TaskView;
use dx_scheduler::id::{AttemptId, TaskId};

use super::log::{Log, LogError, Part, Printed};
use super::{AskError, Service, note};

/// Why a task is followed no more.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Nobody knows how it goes on.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What it printed cannot be written.
    #[error("failed to write: {0}")]
    Write(#[from] io::Error),
}

/// Follows `task` from its attempt number `first` on until it has ended, and hands what it prints
/// to `sink`. A log that cannot be read is noted, and the task is followed on.
///
/// # Errors
/// If nobody can be asked about the task any more, or the sink takes no more.
pub async fn follow(
    service: &mut Service,
    task: TaskId,
    first: u32,
    part: &Part,
    sink: &mut impl FnMut(AttemptId, &Printed) -> io::Result<()>,
) -> Result<TaskView, FollowError> {
    let mut next = first;
    let mut is_again = false;
    // The job's version is read before the task, so that no change between them is missed.
    let mut version = service.job(task.job).await?.version;
    loop {
        let view = service.task(task).await?;
        let begun = view.attempts.iter().find(|attempt| {
            attempt.record.number >= next
                && (attempt.record.started.is_some() || attempt.record.ended.is_some())
        });
        if let Some(attempt) = begun {
            let attempt = task.attempt(attempt.record.number);
            if std::mem::replace(&mut is_again, true) {
                note(&format!("{task} runs again: attempt {}", attempt.number));
            }
            whole(service, attempt, part, sink).await?;
            next = attempt.number + 1;
        } else if view.state.is_ended() {
            return Ok(view);
        } else {
            version = service.changed_job(task.job, version).await?.version;
        }
    }
}

async fn whole(
    service: &mut Service,
    attempt: AttemptId,
    part: &Part,
    sink: &mut impl FnMut(AttemptId, &Printed) -> io::Result<()>,
) -> Result<(), FollowError> {
    let mut log = Log::new(attempt, Part { follow: true, ..part.clone() });
    loop {
        match log.next(service).await {
            Ok(Some(printed)) => sink(attempt, &printed)?,
            Ok(None) => return Ok(()),
            Err(LogError::Ask(error @ AskError::Unreachable(_))) => return Err(error.into()),
            Err(error) => {
                note(&error.to_string());
                return Ok(());
            }
        }
    }
}
