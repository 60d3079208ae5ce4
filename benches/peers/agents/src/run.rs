//! The rounds: every system in turn at one workload, then at the next; then all of it again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use dx::bench::agents::amount;
use dx::bench::agents::spawn::{Cost, METRICS as SPAWN_METRICS};
use dx::bench::child;
use dx::bench::course::median;
use dx::bench::header::Header;
use dx::bench::output::Output;
use dx::bench::report::{Params, Part, Reason, Unit};

use crate::system::Name;

/// Where the figures belong.
const PART: Part = Part { bench: "peers", scenario: "agents" };

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// 64 B from one to another of the same thread.
    Tell,
    /// 64 B from one to another of another thread.
    TellAcross,
    /// 64 B from eight of one thread to one of another.
    FanIn,
    /// 64 B around 1,000 of one thread.
    Token,
    /// A question of 64 B and its answer, on one thread.
    Ask,
    /// A question of 64 B and its answer, from thread to thread.
    AskAcross,
    /// Starting, and the memory that it takes.
    Spawn,
}

impl Workload {
    /// The column that it fills.
    fn metric(self) -> (&'static str, Unit) {
        match self {
            Self::Tell => ("tell", Unit::MessagesPerSecond),
            Self::TellAcross => ("tell across", Unit::MessagesPerSecond),
            Self::FanIn => ("fan-in", Unit::MessagesPerSecond),
            Self::Token => ("token hops", Unit::PerSecond),
            Self::Ask => ("ask", Unit::Microseconds),
            Self::AskAcross => ("ask across", Unit::Microseconds),
            Self::Spawn => SPAWN_METRICS[0],
        }
    }

    fn value(self, count: u64, took: Duration) -> f64 {
        let each = took.as_secs_f64() / count as f64;
        if self.metric().1 == Unit::Microseconds { each * 1e6 } else { 1.0 / each }
    }
}

/// How to measure.
pub struct Options {
    /// Who, in the order of the table.
    pub systems: Vec<Name>,
    /// What, in the order of the columns.
    pub workloads: Vec<Workload>,
    /// How often each is measured; the median is reported.
    pub rounds: usize,
    /// How long each time, about.
    pub time: Duration,
    /// Actors that are spawned.
    pub idle: u64,
}

/// What all rounds of one system gave, by metric.
#[derive(Default)]
struct Results {
    /// How often it does each workload in the time, as found in the first round.
    counts: BTreeMap<&'static str, u64>,
    values: BTreeMap<String, Vec<f64>>,
    failures: Vec<String>,
}

/// Measures and reports. Returns whether everything went well.
pub async fn run(options: &Options, json: Option<&Path>) -> anyhow::Result<bool> {
    let header = header(options);
    let mut output = Output::open(&header, json, None)?;
    let steps = options.systems.len() * options.workloads.len() * options.rounds;
    output.progress.expect(steps as u64);
    let mut results: Vec<Results> = options.systems.iter().map(|_| Results::default()).collect();
    for round in 1..=options.rounds {
        for &workload in &options.workloads {
            let (metric, _) = workload.metric();
            for (name, results) in options.systems.iter().zip(&mut results) {
                output.progress.begin(format!("round {round}, {name}, {metric}"));
                if let Err(error) = measure(options, *name, workload, results).await {
                    results.failures.push(format!("{metric}: {error:#}"));
                }
                output.progress.advance();
            }
        }
    }
    output.begin_scenario("agents and actors of one process, in turns; medians of all rounds");
    for (name, results) in options.systems.iter().zip(results) {
        report(&mut output, options, *name, results)?;
    }
    output.end_scenario()?;
    let failed = output.has_failures();
    output.finish("benches/peers/run agents", &header.summary(), |_| Vec::new())?;
    Ok(!failed)
}

fn header(options: &Options) -> Header {
    let described = BTreeMap::from([
        ("duration", format!("{:?}", options.time)),
        ("rounds", options.rounds.to_string()),
        ("idle", options.idle.to_string()),
    ]);
    let mut header = Header::new(PART.bench, described);
    header.libraries = versions().collect();
    header
}

/// The versions of the peers, and of what is below them.
pub fn versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let libraries = env!("PEERS_VERSIONS").split(',').filter_map(|line| line.split_once(' '));
    libraries.filter(|(name, _)| ["actix", "kameo", "ractor", "tokio"].contains(name))
}

async fn measure(
    options: &Options,
    name: Name,
    workload: Workload,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (metric, _) = workload.metric();
    if workload == Workload::Spawn {
        let arguments = ["spawn", &name.to_string(), &options.idle.to_string()];
        let limit = amount::limit(options.time);
        for (metric, value) in amount::within(limit, child::measure(&arguments)).await? {
            results.values.entry(metric).or_default().push(value);
        }
        return Ok(());
    }
    let count = match results.counts.get(metric) {
        Some(count) => *count,
        None => {
            let once = async |count| name.measure(workload, count).await;
            let count = amount::filling(options.time, once).await?;
            results.counts.insert(metric, count);
            count
        }
    };
    let limit = amount::limit(options.time);
    let took = amount::within(limit, name.measure(workload, count)).await?;
    results.values.entry(metric.to_owned()).or_default().push(workload.value(count, took));
    Ok(())
}

fn report(
    output: &mut Output,
    options: &Options,
    name: Name,
    mut results: Results,
) -> anyhow::Result<()> {
    let params = Params::new().with("system", name.to_string().as_str().into());
    let has_spawn = options.workloads.contains(&Workload::Spawn);
    let others = options.workloads.iter().filter(|workload| **workload != Workload::Spawn);
    let spawn = SPAWN_METRICS.into_iter().filter(|_| has_spawn);
    for metric in others.map(|workload| workload.metric()).chain(spawn) {
        let values = results.values.remove(metric.0).unwrap_or_default();
        if let Some(value) = median(values) {
            output.figure(PART.figure(params.clone(), metric, Some(value)))?;
        }
    }
    for failure in results.failures {
        output.gap(PART.gap(params.clone(), Reason::Failed(failure)))?;
    }
    Ok(())
}

/// Writes what one actor costs as JSON Lines, for the process that started this one.
pub fn report_cost(cost: Cost) -> io::Result<()> {
    let values = [cost.spawn_us, cost.bytes[0], cost.bytes[1]];
    let mut stdout = io::stdout().lock();
    for ((metric, _), value) in SPAWN_METRICS.iter().zip(values) {
        writeln!(stdout, r#"{{"metric":"{metric}","value":{value}}}"#)?;
    }
    Ok(())
}
