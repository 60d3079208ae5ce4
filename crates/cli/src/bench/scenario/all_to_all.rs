//! Every node with every other, in one process: coming up, talking, idling.
//!
//! Each transport has a process of its own, started from this program: only there is all the
//! memory that it takes that of the nodes.

mod crowd;

use std::time::{Duration, Instant};

use self::crowd::Crowd;
use crate::bench::child;
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
    let count =
        run.options.nodes.unwrap_or(if run.options.effort.quick { QUICK_NODES } else { NODES });
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

/// [`measure`] in a process of its own.
async fn measure_in_child(
    transport: TransportName,
    count: u32,
    window: Window,
) -> anyhow::Result<Values> {
    let duration = window.measure.as_secs_f64().to_string();
    let what = ["bench", "transport", "--in-process", "--scenario", "all-to-all", "--json", "-"];
    let how = ["--transport", transport.name(), "--nodes", &count.to_string()];
    let long = ["--duration", &duration];
    let values = child::measure(&[&what[..], &how, &long].concat()).await?;
    Ok(METRICS.map(|(metric, _)| values.get(metric).copied()))
}
