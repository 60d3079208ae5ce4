//! One command from its start to its end, as somebody at a terminal waits for it.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use super::run::{Measured, Run};
use super::stand::{Stand, finish};
use crate::bench::latency::Distribution;
use crate::bench::report::{Params, Unit};

/// What this program is asked for: a task, and as good as nothing, which leaves its own start.
const COMMANDS: [(&str, &[&str]); 2] =
    [("dx run -- true", &["run", "--", "true"]), ("dx --version", &["--version"])];

/// The figure.
const P50: (&str, Unit) = ("p50", Unit::Microseconds);

/// The fewest commands that have a middle.
const FEWEST: u128 = 20;

/// What one takes at most on a quiet machine, about.
const TAKES_MS: u128 = 10;

/// Measures each in turns, and `true` without dx.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let of = |command: &str| Params::new().with("command", command.into());
    run.begin(&of(COMMANDS[0].0));
    let times = run.within(measure(run)).await;
    run.output.progress.advance();
    let Times { bare, commands } = match times {
        Ok(times) => times,
        Err(error) => return run.report(of(COMMANDS[0].0), P50, Err(error)),
    };
    let floor = bare.percentile_us(0.5);
    for ((name, _), times) in COMMANDS.iter().zip(&commands) {
        run.report(of(name), P50, Ok(Measured { value: times.percentile_us(0.5), floor }))?;
    }
    Ok(())
}

/// What the commands took, and the bare one.
struct Times {
    bare: Distribution,
    commands: [Distribution; 2],
}

async fn measure(run: &Run<'_>) -> anyhow::Result<Times> {
    let stand = Stand::start(&run.folder()).await?;
    let (mut bare, mut commands) =
        (Distribution::new(), [Distribution::new(), Distribution::new()]);
    let rounds = run.options.effort.rounds() as u128;
    let count = (run.options.time().as_millis() * rounds / TAKES_MS).max(FEWEST);
    for _ in 0..count {
        let mut command = Command::new("true");
        command.stdin(Stdio::null());
        time(command, &mut bare).await?;
        for ((_, arguments), times) in COMMANDS.iter().zip(&mut commands) {
            let mut command = stand.command()?;
            command.args(*arguments);
            time(command, times).await?;
        }
    }
    stand.end().await?;
    Ok(Times { bare, commands })
}

async fn time(command: Command, times: &mut Distribution) -> anyhow::Result<()> {
    let began = Instant::now();
    finish(command).await?;
    times.record_duration(began.elapsed());
    Ok(())
}
