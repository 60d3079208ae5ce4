//! Spawn: how long agents take to start, and how much memory while they wait.
//!
//! Each round has a process of its own, started from this program: only there is all the memory
//! that it takes that of the agents.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dx_agents::{Agent, AgentId, Context, Spawn};

use crate::bench::agents::arena::{Arena, Parcel, Threads, Verdict};
use crate::bench::agents::run::Run;
use crate::bench::agents::{BENCH, amount};
use crate::bench::child::{self, Values};
use crate::bench::course::median;
use crate::bench::cpu;
use crate::bench::report::{Param, Params, Unit};

/// Agents, unless `--agents` says otherwise.
const AGENTS: u32 = 100_000;

/// Agents of a quick run.
const QUICK_AGENTS: u32 = 20_000;

/// What is measured, in the order in which it is reported.
pub const METRICS: [(&str, Unit); 3] =
    [("spawn", Unit::Microseconds), ("idle agent", Unit::Bytes), ("after a message", Unit::Bytes)];

/// Agents that are spawned or sent to in one step.
const STEP: u64 = 1000;

/// The longest that a million agents may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What one agent takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Microseconds from one agent's start to the next's.
    pub spawn_us: f64,
    /// Bytes after its start, and after it has handled one message.
    pub bytes: [f64; 2],
}

/// Starts `count` agents on one thread, and sends each a message when all have started.
///
/// # Errors
/// If some do not start, or do not hear, or the system does not tell how much memory is resident.
pub async fn measure(count: u64) -> anyhow::Result<Cost> {
    let arena = Arena::start(Threads::One)?;
    let port = arena.port.id();
    let heard = Arc::new(AtomicU64::new(0));
    let idle = Spawn::new("idle", move || Idle { heard: Arc::clone(&heard), count, port });
    let make =
        move || Spawner { idle: idle.clone(), agents: Vec::with_capacity(count as usize), told: 0 };
    let spawner = arena.spawn(&Spawn::new("spawner", make));
    let before = resident()?;
    let began = Instant::now();
    arena.send(spawner, Parcel::new(0, count))?;
    arena.verdict().await?;
    let took = began.elapsed();
    let idle = resident()? - before;
    arena.send(spawner, Parcel::new(1, count))?;
    arena.verdict().await?;
    let used = resident()? - before;
    arena.end()?;
    // The spawner's list of agents is none of theirs.
    let each = |bytes: f64| bytes / count as f64 - size_of::<AgentId>() as f64;
    let spawn_us = took.as_secs_f64() * 1e6 / count as f64;
    Ok(Cost { spawn_us, bytes: [each(idle), each(used)] })
}

/// Bytes of memory that this process has resident.
fn resident() -> anyhow::Result<f64> {
    let bytes = cpu::resident_bytes().context("the system does not tell what is resident")?;
    Ok(bytes as f64)
}

/// Spawns, or sends to what it has spawned, [`STEP`] agents at a time: what one step asks for is
/// held in memory until it ends.
struct Spawner {
    idle: Spawn,
    agents: Vec<AgentId>,
    told: u64,
}

impl Agent for Spawner {
    type Message = Parcel;

    fn message(&mut self, from: AgentId, parcel: Parcel, cx: &mut Context) {
        let _ = from;
        let count = parcel.number;
        let done = if parcel.source == 0 { self.agents.len() as u64 } else { self.told };
        let end = count.min(done + STEP);
        for number in done..end {
            if parcel.source == 0 {
                self.agents.push(cx.spawn(self.idle.clone()));
            } else {
                cx.send(self.agents[number as usize], Parcel::new(0, number));
                self.told += 1;
            }
        }
        if end < count {
            cx.send(cx.me(), parcel);
        }
    }
}

struct Idle {
    /// Starts and messages of all.
    heard: Arc<AtomicU64>,
    count: u64,
    port: AgentId,
}

impl Idle {
    fn count(&self, cx: &mut Context) {
        let heard = self.heard.fetch_add(1, Ordering::Relaxed) + 1;
        if heard.is_multiple_of(self.count) {
            cx.send(self.port, Verdict(Ok(())));
        }
    }
}

impl Agent for Idle {
    type Message = Parcel;

    fn start(&mut self, cx: &mut Context) {
        self.count(cx);
    }

    fn message(&mut self, _: AgentId, _: Parcel, cx: &mut Context) {
        self.count(cx);
    }
}

/// Measures it, in processes of its own.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let count =
        run.options.agents.unwrap_or(if run.options.effort.quick { QUICK_AGENTS } else { AGENTS });
    let params = Params::new().with("agents", Param::Count(count.into()));
    run.begin(&params);
    match rounds(run, count).await {
        Ok(rounds) => {
            for metric in METRICS {
                let of_metric = |values: &Values| values.get(metric.0).copied();
                let value = median(rounds.iter().filter_map(of_metric).collect());
                run.report(&params, metric, [value, None])?;
            }
        }
        Err(error) => run.failed(params, &error)?,
    }
    run.output.progress.advance();
    Ok(())
}

async fn rounds(run: &Run<'_>, count: u32) -> anyhow::Result<Vec<Values>> {
    if run.options.in_process {
        let Cost { spawn_us, bytes: [idle, used] } =
            amount::within(LIMIT, measure(count.into())).await?;
        let values = METRICS.iter().zip([spawn_us, idle, used]);
        return Ok(vec![
            values.map(|((metric, _), value)| ((*metric).to_owned(), value)).collect(),
        ]);
    }
    let mut rounds = Vec::new();
    for _ in 0..run.options.effort.rounds() {
        let what = ["bench", BENCH, "--in-process", "--scenario", "spawn", "--json", "-"];
        let how = ["--agents", &count.to_string()];
        rounds.push(child::measure(&[&what[..], &how].concat()).await?);
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_agent_starts_and_hears_its_message() {
        for count in [1, STEP, STEP + 1] {
            assert!(measure(count).await.unwrap().spawn_us > 0.0);
        }
    }
}
