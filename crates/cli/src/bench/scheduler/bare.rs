//! The floor: a bare loop that starts processes, waits for them and keeps their output. The
//! standard library does so with `posix_spawn`.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::spawn_blocking;

use super::race::{SLOTS, Work};

/// Runs `work` so many times, on as many threads as there are slots.
///
/// # Errors
/// If one cannot be started, fails, or prints something else than it should.
pub async fn measure(work: &'static Work, count: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    spawn_blocking(move || run_all(work, count)).await.context("the loop panicked")??;
    Ok(began.elapsed())
}

fn run_all(work: &Work, count: u64) -> anyhow::Result<()> {
    let begun = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let run = || -> anyhow::Result<()> {
            while begun.fetch_add(1, Ordering::Relaxed) < count {
                once(work)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..SLOTS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

fn once(work: &Work) -> anyhow::Result<()> {
    let (program, arguments) = work.exec.split_first().context("work has a program")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", output.status);
    let printed = output.stdout.len();
    ensure!(printed == work.prints, "{program} printed {printed} bytes, not {}", work.prints);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::race::{OUTPUT, SPAWN};
    use super::*;

    #[tokio::test]
    async fn the_loop_keeps_what_is_printed() {
        for race in [&SPAWN, &OUTPUT] {
            assert!(measure(&race.work, 4).await.unwrap() > Duration::ZERO);
        }
    }

    #[tokio::test]
    async fn what_fails_or_prints_something_else_is_no_figure() {
        static FAILS: Work = Work { exec: &["false"], prints: 0 };
        static PRINTS: Work = Work { exec: &["echo"], prints: 0 };
        assert!(measure(&FAILS, 1).await.unwrap_err().to_string().contains("false failed"));
        assert!(measure(&PRINTS, 1).await.unwrap_err().to_string().contains("1 bytes, not 0"));
    }
}
