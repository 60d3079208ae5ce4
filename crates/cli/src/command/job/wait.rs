//! `dx job wait`.

use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::JobView;
use dx_scheduler::id::JobId;

use crate::cli::Wait;
use crate::command::signals;
use crate::exit;
use crate::jobs::{self, AskError, Bar, Service, Slot, note};

/// Waits for jobs.
pub async fn run(mut service: Service, arguments: &Wait, json: bool) -> anyhow::Result<ExitCode> {
    let selected = jobs::look_up(&mut service, &arguments.what).await?;
    let jobs: Vec<JobView> = selected.into_iter().map(|selected| selected.job).collect();
    let mut service = service.patient();
    let mut slot = Slot::here(&service);
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let waiting = all(&mut service, jobs, arguments.progress);
    let ended = match arguments.timeout {
        Some(timeout) => match tokio::time::timeout(timeout.0, waiting).await {
            Ok(ended) => ended?,
            Err(_) => {
                slot.take_back(&ids).await?;
                note(&format!("not all have ended within {timeout}; they go on"));
                return Ok(ExitCode::from(exit::TIMED_OUT));
            }
        },
        None => tokio::select! {
            ended = waiting => ended?,
            () = signals::interrupted() => {
                slot.leave(&ids).await;
                return Ok(exit::interrupted());
            }
        },
    };
    let code = report(&ended, json)?;
    Ok(if arguments.always_zero { exit::OK } else { ExitCode::from(code) })
}

/// Waits for a job that was just submitted.
pub async fn one(
    mut service: Service,
    job: JobId,
    progress: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let view = service.job(job).await?;
    let mut slot = Slot::here(&service);
    let ended = tokio::select! {
        ended = all(&mut service, vec![view], progress) => ended?,
        () = signals::interrupted() => {
            slot.leave(&[job]).await;
            note(&format!("job {job} goes on: `dx job wait {job}` waits again"));
            return Ok(exit::interrupted());
        }
    };
    Ok(ExitCode::from(report(&ended, json)?))
}

/// Waits for jobs that were just submitted.
pub async fn several(
    mut service: Service,
    jobs: &[JobId],
    progress: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut views = Vec::new();
    for job in jobs {
        views.push(service.job(*job).await?);
    }
    let mut slot = Slot::here(&service);
    let ended = tokio::select! {
        ended = all(&mut service, views, progress) => ended?,
        () = signals::interrupted() => {
            slot.leave(jobs).await;
            note("the jobs go on: `dx job wait` waits again");
            return Ok(exit::interrupted());
        }
    };
    Ok(ExitCode::from(report(&ended, json)?))
}

/// In a task, also until that has its slot back.
async fn all(
    service: &mut Service,
    jobs: Vec<JobView>,
    progress: bool,
) -> Result<Vec<JobView>, AskError> {
    let left = jobs.iter().filter(|job| job.ended.is_none());
    let left: Vec<JobId> = left.map(|job| job.id).collect();
    let mut slot = Slot::here(service);
    if progress {
        let seeing = see_all(service, jobs, progress);
        return tokio::try_join!(seeing, slot.lend(&left)).map(|(jobs, ())| jobs);
    }
    // One question at a time.
    slot.lend(&left).await?;
    see_all(service, jobs, progress).await
}

async fn see_all(
    service: &mut Service,
    jobs: Vec<JobView>,
    progress: bool,
) -> Result<Vec<JobView>, AskError> {
    let mut bar = Bar::new(&jobs, progress);
    let mut ended = Vec::new();
    for mut job in jobs {
        while job.ended.is_none() {
            bar.show(&job);
            job = service.changed_job(job.id, job.version).await?;
        }
        bar.show(&job);
        ended.push(job);
    }
    bar.clear();
    Ok(ended)
}

/// Says how jobs ended, and returns the exit code that they give together.
fn report(jobs: &[JobView], json: bool) -> anyhow::Result<u8> {
    if json {
        let text = match jobs {
            [one] => serde_json::to_string(one)?,
            several => serde_json::to_string(several)?,
        };
        writeln!(io::stdout(), "{text}")?;
    }
    for job in jobs.iter().filter(|job| jobs::exit_code(job) != 0) {
        note(&format!("job {} {}: {}", job.id, jobs::job_word(job.state), jobs::counted(job)));
    }
    Ok(match jobs {
        [one] => jobs::exit_code(one),
        several => u8::from(several.iter().any(|job| jobs::exit_code(job) != 0)),
    })
}
