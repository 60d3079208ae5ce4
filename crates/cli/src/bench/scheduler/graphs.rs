//! What it costs that jobs wait for jobs: a wide graph, beside as many tasks that wait for nothing,
//! and a deep one, beside the disk. Nobody executes anything, as in the scenario before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use dx_scheduler::job::{Dependency, JobRef, JobSpec};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::pair::Pair;
use super::race::{SPAWN, array};
use super::run::{Measured, Run};
use crate::bench::agents::journal;
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Unit};

/// Tasks on each side of the barrier, and of a quick run.
const WIDTH: u64 = 25_000;
const QUICK_WIDTH: u64 = 1000;

/// Jobs one after the other, and of a quick run.
const DEPTH: u64 = 1000;
const QUICK_DEPTH: u64 = 50;

/// Tasks that the node takes at a time.
const SLOTS: u32 = 256;

/// The figures.
const EACH: (&str, Unit) = ("per task", Unit::Microseconds);

/// Records of the controller's journal without which there is no step: that a task is assigned, and
/// that it has ended.
const RECORDS: f64 = 2.0;

/// Measures both.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let quick = run.options.effort.quick;
    let (width, depth) = if quick { (QUICK_WIDTH, QUICK_DEPTH) } else { (WIDTH, DEPTH) };
    let (folder, rounds) = (run.folder(), run.options.effort.rounds());
    let of = |shape: &str, jobs, tasks| {
        let params = Params::new().with("shape", shape.into());
        params.with("jobs", Param::Count(jobs)).with("tasks", Param::Count(tasks))
    };
    let params = of("all after all", 2, 2 * width);
    run.begin(&params);
    let measured = run.within(wide(&folder, width, rounds)).await;
    run.output.progress.advance();
    run.report(params, EACH, measured)?;
    let params = of("one after the other", depth, depth);
    run.begin(&params);
    let measured = run.within(deep(&folder, depth, rounds)).await;
    run.output.progress.advance();
    run.report(params, EACH, measured)
}

/// As many tasks before a barrier as behind it; the floor is an array of all of them.
async fn wide(folder: &Path, width: u64, rounds: usize) -> anyhow::Result<Measured> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the journal")?;
    let pair = Pair::start(folder.path(), SLOTS).await?;
    let (mut floor, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        floor.push(each(pair.run_array(2 * width).await?, 2 * width));
        let took = pair.run(barrier(width), LAST, width).await?;
        times.push(each(took, 2 * width));
    }
    pair.end().await?;
    Ok(Measured { value: median(times), floor: median(floor) })
}

/// Single tasks in a chain; the floor is what the disk takes for the records of a step.
async fn deep(folder: &Path, depth: u64, rounds: usize) -> anyhow::Result<Measured> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the journal")?;
    let pair = Pair::start(folder.path(), SLOTS).await?;
    let (mut floor, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let at = folder.path().to_owned();
        let synced = spawn_blocking(move || journal::write_and_sync(&at, 1, depth)).await??;
        floor.push(RECORDS * each(synced, depth));
        times.push(each(pair.run(chain(depth), LAST, 1).await?, depth));
    }
    pair.end().await?;
    Ok(Measured { value: median(times), floor: median(floor) })
}

/// In microseconds.
fn each(took: Duration, tasks: u64) -> f64 {
    took.as_secs_f64() * 1e6 / tasks as f64
}

/// What the last job of a graph is called.
const LAST: &str = "last";

fn barrier(width: u64) -> BTreeMap<String, JobSpec> {
    let all = array(&SPAWN.work, width);
    let last = JobSpec { after_ok: vec![on("first")], ..all.clone() };
    BTreeMap::from([("first".to_owned(), all), (LAST.to_owned(), last)])
}

fn chain(depth: u64) -> BTreeMap<String, JobSpec> {
    let name = |step| if step + 1 == depth { LAST.to_owned() } else { format!("step {step}") };
    let job = |step: u64| {
        let before = step.checked_sub(1).map(|before| on(&name(before)));
        let after_ok = before.into_iter().collect();
        (name(step), JobSpec { after_ok, array: None, ..array(&SPAWN.work, 1) })
    };
    (0..depth).map(job).collect()
}

fn on(name: &str) -> Dependency {
    Dependency { job: JobRef::Name(name.to_owned()), each: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_as_wide_and_deep_as_they_are_said_to_be() {
        let (wide, deep) = (barrier(7), chain(4));
        assert!(wide.values().all(|job| job.array.as_deref() == Some("0-6")));
        assert_eq!(wide[LAST].after_ok, [on("first")]);
        assert_eq!((deep.len(), deep[LAST].after_ok.as_slice()), (4, &[on("step 2")][..]));
        assert!(deep["step 0"].after_ok.is_empty());
    }

    #[tokio::test]
    async fn graphs_that_nobody_executes_end_well() {
        let folder = TempDir::new().unwrap();
        for measured in [wide(folder.path(), 100, 1).await, deep(folder.path(), 20, 1).await] {
            let Measured { value, floor } = measured.unwrap();
            assert!(value.unwrap() > 0.0 && floor.unwrap() > 0.0);
        }
    }
}
