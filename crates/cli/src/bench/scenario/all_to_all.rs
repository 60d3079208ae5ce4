//! Every node with every other, in one process: coming up, talking, idling.
//!
//! Each transport has a process of its own, started from this program: only there is all the
//! memory that it takes that of the nodes.

mod crowd;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use self::crowd::Crowd;
use crate::bench::cpu;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::Window;
use crate::bench::transport::TransportName;

/// Nodes, unless `--nodes` says otherwise.
const NODES: u32 = 16;

/// Nodes of a quick run.
const QUICK_NODES: u32 = 8;

/// What is measured, in the order in which it is reported.
const METRICS: [(&str, Unit); 4] = [
    ("up", Unit::Microseconds),
    ("idle CPU per node", Unit::Percent),
    ("memory per peer", Unit::Bytes),
    ("messages", Unit::MessagesPerSecond),
];

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let window = run.options.window(run.name, transports.len() * 2);
    let count = run.options.nodes.unwrap_or(if run.options.quick { QUICK_NODES } else { NODES });
    for transport in transports {
        run.output.progress.begin(format!("all-to-all, {transport}, {count} nodes"));
        let params = Params::new()
            .with("transport", transport.name().into())
            .with("nodes", Param::Count(count.into()));
        let values = if run.options.in_process {
            measure(transport, count, window).await
        } else {
            measure_in_child(transport, count, window).await
        };
        match values {
            Ok(values) => {
                for (metric, value) in METRICS.into_iter().zip(values) {
                    run.report(&params, metric, value, None)?;
                }
            }
            Err(error) => run.failed(params, &error)?,
        }
        run.output.progress.advance();
    }
    Ok(())
}

/// The values of [`METRICS`].
type Values = [Option<f64>; METRICS.len()];

async fn measure(transport: TransportName, count: u32, window: Window) -> anyhow::Result<Values> {
    let memory_before = cpu::resident_bytes();
    let crowd = Crowd::start(transport, count).await?;
    let began = Instant::now();
    crowd.connect().await?;
    let up_us = began.elapsed().as_secs_f64() * 1e6;

    let idle_percent = idle(window.measure).await / f64::from(count) * 100.0;
    let memory = memory_before.zip(cpu::resident_bytes()).map(|(b, a)| a.saturating_sub(b));
    let peers = f64::from(count) * f64::from(count - 1);
    let bytes_per_peer = memory.map(|bytes| bytes as f64 / peers);

    let rate = crowd.talk(window).await?;
    Ok([Some(up_us), Some(idle_percent), bytes_per_peer, Some(rate)])
}

/// The share of a core that this process uses while nobody asks for anything.
async fn idle(time: Duration) -> f64 {
    let (began, before) = (Instant::now(), cpu::time());
    tokio::time::sleep(time).await;
    cpu::time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// [`measure`] in a process of its own, which is killed if nobody waits for it any more.
async fn measure_in_child(
    transport: TransportName,
    count: u32,
    window: Window,
) -> anyhow::Result<Values> {
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let duration = window.measure.as_secs_f64().to_string();
    let output = Command::new(program)
        .args(["bench", "transport", "--in-process", "--scenario", "all-to-all"])
        .args(["--transport", transport.name(), "--nodes", &count.to_string()])
        .args(["--duration", &duration, "--json", "-"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to start this program once more")?;
    let values = parse(&String::from_utf8_lossy(&output.stdout))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(values.iter().any(Option::is_some), "the process of its own failed: {}", said.trim());
    Ok(values)
}

fn parse(lines: &str) -> anyhow::Result<Values> {
    let mut values = Values::default();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        if let Some(reason) = line["failed"].as_str() {
            bail!("{reason}");
        }
        for (value, (metric, _)) in values.iter_mut().zip(METRICS) {
            if line["metric"] == metric {
                *value = line["value"].as_f64();
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_figures_are_taken_by_name() {
        let lines = r#"{"header":{"dx":"1"}}
{"metric":"messages","value":2.5}
{"metric":"up","value":1.5}
{"metric":"memory per peer","value":null}"#;
        assert_eq!(parse(lines).unwrap(), [Some(1.5), None, None, Some(2.5)]);
    }

    #[test]
    fn a_childs_failure_is_ours() {
        assert_eq!(parse(r#"{"failed":"it broke"}"#).unwrap_err().to_string(), "it broke");
    }
}
