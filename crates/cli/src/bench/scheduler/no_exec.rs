//! What a task costs that nobody executes: what controller and runner do about it, on two nodes of
//! this process over tls, with the controller's journal on the disk.

use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

use super::pair::Pair;
use super::run::{Measured, Run};
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Unit};

/// Tasks that the node takes at a time: as a small machine, and as a large one.
const SLOTS: [u32; 2] = [2, 256];

/// Tasks of a quick run.
const QUICK: u32 = 5000;

/// The figure.
const EACH: (&str, Unit) = ("per task", Unit::Microseconds);

/// Measures it with few and with many slots.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let tasks = run.options.tasks(QUICK);
    for slots in SLOTS {
        let params = Params::new()
            .with("slots", Param::Count(slots.into()))
            .with("tasks", Param::Count(tasks.into()));
        run.begin(&params);
        let rounds = run.options.effort.rounds();
        let folder = run.folder();
        let measured = run.within(measure(&folder, slots, tasks.into(), rounds)).await;
        run.output.progress.advance();
        run.report(params, EACH, measured)?;
    }
    Ok(())
}

async fn measure(folder: &Path, slots: u32, tasks: u64, rounds: usize) -> anyhow::Result<Measured> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the journal")?;
    let pair = Pair::start(folder.path(), slots).await?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let took = pair.run_array(tasks).await?;
        times.push(took.as_secs_f64() * 1e6 / tasks as f64);
    }
    pair.end().await?;
    Ok(Measured { value: median(times), floor: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_executes_ends_well_and_once() {
        let folder = TempDir::new().unwrap();
        for slots in SLOTS {
            let measured = measure(folder.path(), slots, 1000, 1).await.unwrap();
            assert!(measured.value.unwrap() > 0.0);
        }
    }
}
