//! How long a client waits until its job is taken: journaled on the controller's disk.

use std::time::Instant;

use anyhow::ensure;
use dx_scheduler::client::JobState;
use dx_scheduler::job::JobSpec;

use super::race::{SPAWN, array, submit};
use super::run::{Measured, Run};
use super::stand::Stand;
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Unit};
use crate::jobs::Service;

/// Tasks of a job, and how often such a job is submitted in each round.
const JOBS: [(u64, usize); 2] = [(1, 100), (1_000_000, 1)];

/// The most submissions of a quick run.
const QUICK: usize = 20;

/// The figure: the middle of all times.
const TAKEN: (&str, Unit) = ("taken after", Unit::Microseconds);

/// Measures it of a single task, and of a large array.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (tasks, often) in JOBS {
        let params = Params::new().with("tasks", Param::Count(tasks));
        run.begin(&params);
        let often = often * run.options.effort.rounds();
        let often = if run.options.effort.quick { often.min(QUICK) } else { often };
        let measured = run.within(measure(run, tasks, often)).await;
        run.output.progress.advance();
        run.report(params, TAKEN, measured)?;
    }
    Ok(())
}

async fn measure(run: &Run<'_>, tasks: u64, often: usize) -> anyhow::Result<Measured> {
    let stand = Stand::start(&run.folder()).await?;
    let mut service = stand.service().await?;
    // Nothing of it runs, so that nothing but the submissions is measured.
    let spec = JobSpec { hold: true, ..array(&SPAWN.work, tasks) };
    let mut times = Vec::new();
    for _ in 0..often {
        times.push(once(&mut service, &spec, tasks).await?);
    }
    stand.end().await?;
    Ok(Measured { value: median(times), floor: None })
}

/// In microseconds.
async fn once(service: &mut Service, spec: &JobSpec, tasks: u64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let submitted = submit(service, spec).await?;
    let took = began.elapsed();
    let view = service.job(submitted.job).await?;
    ensure!(view.state == JobState::Held && view.tasks == tasks, "the job is {view:?}");
    Ok(took.as_secs_f64() * 1e6)
}
