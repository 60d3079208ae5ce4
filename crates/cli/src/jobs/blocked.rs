//! A task that waits for jobs: while it does, its slot is for others.

use std::time::Duration;

use dx_scheduler::id::{AttemptId, JobId};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{AskError, Service, note, this_attempt};

/// The jobs of one request: no more than the service takes.
const AT_ONCE: usize = 10_000;

/// The least time between two requests: where many wait, they are answered at once.
const PACE: Duration = Duration::from_secs(1);

/// How many times as often is asked in the beginning: what ends soon is not waited for long.
const EAGER: u32 = 8;

/// The slot of the task that this process is a part of.
#[derive(Clone, Debug)]
pub struct Slot {
    service: Service,
    /// None if this is no task, or none that the service knows.
    caller: Option<AttemptId>,
}

#[derive(Deserialize)]
struct Stands {
    is_over: bool,
}

impl Slot {
    /// That of this process.
    #[must_use]
    pub fn here(service: &Service) -> Self {
        Self { service: service.clone().patient(), caller: this_attempt() }
    }

    /// Gives it to others until these jobs have ended, and waits until it is back.
    ///
    /// # Errors
    /// If nobody answers, or the task would wait for itself.
    pub async fn lend(&mut self, jobs: &[JobId]) -> Result<(), AskError> {
        for some in jobs.chunks(AT_ONCE) {
            self.ask(some, false).await?;
        }
        Ok(())
    }

    /// Waits until it is back, though these jobs go on.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn take_back(&mut self, jobs: &[JobId]) -> Result<(), AskError> {
        for some in jobs.chunks(AT_ONCE) {
            self.ask(some, true).await?;
        }
        Ok(())
    }

    /// Does not wait for these jobs any more, nor for the slot: this process is told to end.
    pub async fn leave(&mut self, jobs: &[JobId]) {
        // If that is not heard, the slot is back when they have ended, or in a minute.
        let _ = timeout(PACE, self.take_back(jobs)).await;
    }

    async fn ask(&mut self, jobs: &[JobId], leave: bool) -> Result<(), AskError> {
        let began = Instant::now();
        while let Some(caller) = self.caller {
            let body = json!({ "caller": caller.to_string(), "jobs": jobs, "leave": leave });
            let asked = Instant::now();
            match self.service.post::<_, Stands>("/v1/waits", &body).await {
                Ok(Stands { is_over: true }) => return Ok(()),
                Ok(Stands { is_over: false }) => {
                    let pace = PACE.min(began.elapsed() / EAGER);
                    sleep(pace.saturating_sub(asked.elapsed())).await;
                }
                // Another cluster's environment, or the end of this task is on its way.
                Err(error) if error.refusal() == Some("caller_not_running") => {
                    note(&format!(
                        "{caller} is no task that runs here: it waits as any other process"
                    ));
                    self.caller = None;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
