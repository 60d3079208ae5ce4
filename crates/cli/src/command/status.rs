//! `dx status`: from arguments to exit code.

mod human;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{choose, signals};
use crate::cli::Status;
use crate::cluster::ClusterReport;
use crate::exit;
use crate::home::Home;

/// The time between two looks.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows how a cluster stands. Exit code 1 if a node does not answer.
pub fn run(arguments: &Status) -> anyhow::Result<ExitCode> {
    choose::block_on(async {
        let client = choose::any(&arguments.which, &Home::of_this_user()?).await?;
        let mut before = None;
        let mut clock = interval(AGAIN);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                () = signals::interrupted() => return Ok(exit::interrupted()),
            }
            let report: ClusterReport = client.get("/v1/status").await?;
            let is_well = report.silent.is_empty();
            show(arguments, &report, before.as_ref())?;
            if !arguments.watch {
                return Ok(if is_well { exit::OK } else { exit::FAILED });
            }
            before = Some(report);
        }
    })
}

fn show(
    arguments: &Status,
    report: &ClusterReport,
    before: Option<&ClusterReport>,
) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if arguments.which.json {
        format!("{}\n", serde_json::to_string(report)?)
    } else {
        let text = human::text(report, before);
        if arguments.watch && stdout.is_terminal() { format!("\x1b[2J\x1b[H{text}") } else { text }
    };
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
