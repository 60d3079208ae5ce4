//! Tasks as they run: what all their attempts print, one after the other, until they have ended.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use dx_scheduler::client::TaskView;
use dx_scheduler::id::{AttemptId, JobId, TaskId};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::log::{Log, LogError, Part, Printed};
use super::{AskError, Service, note, printed_nothing};

/// Tasks of a job that are followed at a time. Each may hold one of the connections that a node
/// keeps, of which there are 64 for everybody.
const AT_ONCE: usize = 16;

/// The least time between two looks at a job that changes all the time, once it is followed for
/// long. Before, it is an eighth of the time since: what ends soon is not waited for longer than
/// that, and nobody looks often.
const PACE: Duration = Duration::from_millis(50);

/// The code of the answer where there is no log.
const NO_LOG: &str = "no_log";

/// What is heard of a task.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// An attempt printed something.
    Printed(AttemptId, &'a Printed),
    /// It has ended, and everything that it printed was heard.
    Ended(&'a TaskView),
}

/// Why tasks are followed no more.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Nobody knows how they go on.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What they printed cannot be written.
    #[error("failed to write: {0}")]
    Write(#[from] io::Error),
}

/// Follows tasks of `job`, each an index and the attempt to begin with, until they have ended, and
/// tells `sink` what is heard. A log that cannot be read is noted, and its task is followed on.
///
/// # Errors
/// If nobody can be asked about them any more, or the sink takes no more.
pub async fn follow(
    service: &Service,
    job: JobId,
    tasks: impl IntoIterator<Item = (u32, u32)>,
    part: &Part,
    sink: impl FnMut(Heard<'_>) -> io::Result<()>,
) -> Result<(), FollowError> {
    // One long poll for all of them.
    let version = watch::Sender::new(service.clone().job(job).await?.version);
    let sink = RefCell::new(sink);
    let each = stream::iter(tasks).map(|(index, attempt)| {
        let following = Following {
            service: service.clone(),
            task: job.task(index),
            part,
            version: version.subscribe(),
            sink: &sink,
        };
        following.run(attempt)
    });
    let all = each.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(()));
    tokio::select! {
        ended = all => ended,
        Err(error) = watch(service.clone(), job, &version) => Err(error.into()),
    }
}

/// Says when a job changed.
async fn watch(
    mut service: Service,
    job: JobId,
    version: &watch::Sender<u64>,
) -> Result<Infallible, AskError> {
    let began = Instant::now();
    loop {
        let known = *version.borrow();
        let view = service.changed_job(job, known).await?;
        version
            .send_if_modified(|version| std::mem::replace(version, view.version) != view.version);
        sleep(PACE.min(began.elapsed() / 8)).await;
    }
}

/// A task that is followed.
struct Following<'a, S> {
    service: Service,
    task: TaskId,
    part: &'a Part,
    /// That of the job: a new one is worth a look at the task.
    version: watch::Receiver<u64>,
    sink: &'a RefCell<S>,
}

impl<S: FnMut(Heard<'_>) -> io::Result<()>> Following<'_, S> {
    /// Follows it from this attempt on.
    async fn run(mut self, first: u32) -> Result<(), FollowError> {
        let mut next = first;
        let mut is_again = false;
        loop {
            self.version.mark_unchanged();
            let view = self.service.task(self.task).await?;
            let begun = view.attempts.iter().map(|attempt| &attempt.record).find(|record| {
                record.number >= next && (record.started.is_some() || record.ended.is_some())
            });
            if let Some(record) = begun {
                if std::mem::replace(&mut is_again, true) {
                    note(&format!("{} runs again: attempt {}", self.task, record.number));
                }
                if !printed_nothing(record) {
                    self.print(self.task.attempt(record.number)).await?;
                }
                next = record.number + 1;
            } else if view.state.is_ended() {
                return Ok((self.sink.borrow_mut())(Heard::Ended(&view))?);
            } else {
                // It lasts as long as all that is followed.
                let _ = self.version.changed().await;
            }
        }
    }

    /// There is no log of an attempt: which is as it should be if it printed nothing.
    async fn without_log(
        &mut self,
        attempt: AttemptId,
        error: &AskError,
    ) -> Result<(), FollowError> {
        let view = self.service.task(self.task).await?;
        let record = view.attempts.iter().find(|it| it.record.number == attempt.number);
        if !record.is_some_and(|it| printed_nothing(&it.record)) {
            note(&error.to_string());
        }
        Ok(())
    }

    /// Prints the log of an attempt to its end.
    async fn print(&mut self, attempt: AttemptId) -> Result<(), FollowError> {
        let mut log = Log::new(attempt, Part { follow: true, ..self.part.clone() });
        loop {
            match log.next(&mut self.service).await {
                Ok(Some(printed)) => (self.sink.borrow_mut())(Heard::Printed(attempt, &printed))?,
                Ok(None) => return Ok(()),
                Err(LogError::Ask(error @ AskError::Unreachable(_))) => return Err(error.into()),
                Err(LogError::Ask(error)) if error.code() == Some(NO_LOG) => {
                    return self.without_log(attempt, &error).await;
                }
                Err(error) => {
                    note(&error.to_string());
                    return Ok(());
                }
            }
        }
    }
}
