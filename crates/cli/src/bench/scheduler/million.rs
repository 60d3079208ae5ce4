//! A million tasks: how long they take, what they cost the controller's process, which is one of its
//! own, and how long it needs to be back when it was killed. Nobody executes them.

use std::path::Path;
use std::time::Instant;

use dx_scheduler::client::JobView;
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::{Constraint, JobSpec, Operator};

use super::apart::Apart;
use super::race::{SPAWN, array, ensure_succeeded, submit};
use super::run::{Measured, Run};
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Reason, Unit};

/// Tasks, unless told otherwise, and those of a quick run.
const TASKS: u32 = 1_000_000;
const QUICK: u32 = 20_000;

/// The figures: until they are taken, until all have ended, memory of the controller for each task
/// that waits, for each that has ended, and for each of these once it was started again, and how long
/// that took.
const TAKEN: (&str, Unit) = ("taken after", Unit::Seconds);
const DONE: (&str, Unit) = ("done after", Unit::Seconds);
const WAITS: (&str, Unit) = ("one waiting", Unit::Bytes);
const ENDED: (&str, Unit) = ("one ended", Unit::Bytes);
const RECOVERED: (&str, Unit) = ("the same, restarted", Unit::Bytes);
const SERVING: (&str, Unit) = ("serving after", Unit::Seconds);

/// What was measured.
struct Million {
    taken: f64,
    done: f64,
    waits: f64,
    ended: f64,
    recovered: f64,
    serving: Option<f64>,
    /// The same of one with a single task.
    floor: Option<f64>,
}

/// Measures it.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let quick = if run.options.effort.quick { QUICK } else { TASKS };
    let tasks = u64::from(run.options.tasks.unwrap_or(quick));
    let params = Params::new().with("tasks", Param::Count(tasks));
    run.begin(&params);
    let rounds = run.options.effort.rounds();
    let measured = Box::pin(run.within(measure(&run.folder(), tasks, rounds))).await;
    run.output.progress.advance();
    let it = match measured {
        Ok(it) => it,
        Err(error) => return run.gap(params, Reason::Failed(format!("{error:#}"))),
    };
    let plain = [(TAKEN, it.taken), (DONE, it.done), (WAITS, it.waits), (ENDED, it.ended)];
    for (metric, value) in plain.into_iter().chain([(RECOVERED, it.recovered)]) {
        run.report(params.clone(), metric, Ok(Measured { value: Some(value), floor: None }))?;
    }
    run.report(params, SERVING, Ok(Measured { value: it.serving, floor: it.floor }))
}

async fn measure(folder: &Path, tasks: u64, rounds: usize) -> anyhow::Result<Million> {
    let mut apart = Apart::start(folder).await?;
    // The runner has joined when it is done.
    let (one, _) = ended(&apart, 1).await?;
    let (floor, bare) = restarts(&mut apart, one, 1, rounds).await?;
    let mut service = apart.service().await?;
    let nowhere = Constraint {
        label: "node".to_owned(),
        operator: Operator::Eq,
        value: "nowhere".to_owned(),
    };
    let before = apart.resident_bytes()?;
    let began = Instant::now();
    let waiting = JobSpec { constraints: vec![nowhere], ..array(&SPAWN.work, tasks) };
    let waiting = submit(&mut service, &waiting).await?.job;
    let taken = began.elapsed().as_secs_f64();
    let waits = (apart.resident_bytes()? - before) / tasks as f64;
    ensure_waits(&service.job(waiting).await?, tasks)?;
    service.cancel(&[waiting.to_string()], true).await?;
    let before = apart.resident_bytes()?;
    let (job, done) = ended(&apart, tasks).await?;
    let ended = (apart.resident_bytes()? - before) / tasks as f64;
    let (serving, full) = restarts(&mut apart, job, tasks, rounds).await?;
    let recovered = (full - bare) / tasks as f64;
    apart.end().await?;
    Ok(Million { taken, done, waits, ended, recovered, serving, floor })
}

/// Has so many tasks done. Returns their job, and how many seconds it took.
async fn ended(apart: &Apart, tasks: u64) -> anyhow::Result<(JobId, f64)> {
    let mut service = apart.service().await?;
    let began = Instant::now();
    let job = submit(&mut service, &array(&SPAWN.work, tasks)).await?.job;
    let view = service.ended_job(job).await?;
    let took = began.elapsed().as_secs_f64();
    ensure_succeeded(&view, tasks)?;
    Ok((job, took))
}

fn ensure_waits(view: &JobView, tasks: u64) -> anyhow::Result<()> {
    let queued = view.counts.0.get(&TaskState::Queued).copied().unwrap_or_default();
    anyhow::ensure!(queued == tasks, "of {tasks} tasks, {queued} wait: {:?}", view.counts);
    Ok(())
}

/// Kills the controller, so often. Returns the seconds until it shows `job`, and what it has resident
/// then.
async fn restarts(
    apart: &mut Apart,
    job: JobId,
    tasks: u64,
    rounds: usize,
) -> anyhow::Result<(Option<f64>, f64)> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (took, view) = apart.restart(job).await?;
        ensure_succeeded(&view, tasks)?;
        times.push(took.as_secs_f64());
    }
    Ok((median(times), apart.resident_bytes()?))
}
