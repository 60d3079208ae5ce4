//! A job in the foreground: what its tasks print, why it waits, how they end.

use std::convert::Infallible;
use std::time::Duration;

use dx_scheduler::client::JobView;
use dx_scheduler::id::{JobId, TaskId};
use dx_scheduler::job::JobSpec;
use tokio::time::sleep;

use crate::exit::Usage;
use crate::jobs::{self, AskError, Heard, Marks, Part, Service, Slot, Terminal, note};

/// How long a job waits before somebody who looks on is told why; and, doubled each time, before
/// they are told that it is for another reason now. Most start well within it.
const WHY_AFTER: Duration = Duration::from_secs(2);

/// Tasks of an array of which it is said how they failed: whoever has more made one mistake many
/// times.
const MAX_FAILURES: u32 = 20;

/// Prints what the job's tasks print until it has ended; in a task, also until that has its slot back.
pub async fn until_ended(
    service: Service,
    job: JobId,
    spec: &JobSpec,
    quiet: bool,
) -> anyhow::Result<JobView> {
    let mut slot = Slot::here(&service);
    let lending = async { Ok(slot.lend(&[job]).await?) };
    let (view, ()) = tokio::try_join!(follow(service, job, spec, quiet), lending)?;
    Ok(view)
}

async fn follow(
    mut service: Service,
    job: JobId,
    spec: &JobSpec,
    quiet: bool,
) -> anyhow::Result<JobView> {
    let indices = spec.indices().map_err(Usage)?;
    let first = indices.first().map_or(0, |range| *range.start());
    let tasks = indices.into_iter().flatten().map(|index| (index, 1));
    let mut terminal = Terminal::new(Marks { task: spec.is_array(), ..Marks::default() });
    let mut failed = 0;
    let part = Part::default();
    let following = jobs::follow(&service, job, tasks, &part, |heard| match heard {
        Heard::Printed(from, printed) => terminal.print(from, printed),
        Heard::Ended(task) => {
            if let Some(failure) = jobs::failure(task).filter(|_| !quiet) {
                failed += 1;
                if failed <= MAX_FAILURES {
                    note(&format!("{job}.{} {failure}", task.index));
                }
            }
            Ok(())
        }
    });
    let mut asking = service.clone();
    tokio::select! {
        followed = following => followed?,
        Err(error) = tell_why(&mut asking, job.task(first)), if !quiet => return Err(error.into()),
    }
    if failed > MAX_FAILURES {
        note(&format!("... and {} more", jobs::tasks(u64::from(failed - MAX_FAILURES))));
    }
    Ok(service.ended_job(job).await?)
}

/// Tells why a task does not start, as long as it does not.
async fn tell_why(service: &mut Service, task: TaskId) -> Result<Infallible, AskError> {
    let (mut pause, mut said) = (WHY_AFTER, None);
    loop {
        sleep(pause).await;
        pause *= 2;
        let view = service.task(task).await?;
        let has_begun = view.attempts.iter().any(|attempt| attempt.record.started.is_some());
        if has_begun || view.state.is_ended() {
            return std::future::pending().await;
        }
        if view.reason.is_some() && view.reason != said {
            let why = view.reason.as_deref().unwrap_or_default();
            note(&format!("{task} is {}: {why}", jobs::word(view.state)));
            said = view.reason;
        }
    }
}
