//! The rounds: every contender in turn, then all of them again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use dx::bench::header::Header;
use dx::bench::output::Output;
use dx::bench::report::{Figure, Gap, Params, Reason, Unit};
use dx::bench::subject::{BoxFuture, Flow, Window};
use tokio::time::timeout;

use crate::contender::{Name, nats};

/// The name of this bench in reports.
const BENCH: &str = "peers";

/// Its only scenario.
const SCENARIO: &str = "side-by-side";

/// Small messages, in bytes: an event.
const SMALL: usize = 64;

/// Large messages, in bytes: a block.
const LARGE: usize = 64 * 1024;

/// Beyond its window, a measurement may take this long to start and to end.
const SLACK: Duration = Duration::from_secs(20);

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who, in the order of the table.
    pub contenders: Vec<Name>,
    /// How often each is measured; the median is reported.
    pub rounds: usize,
    /// How long each time.
    pub window: Window,
}

/// What is measured, in the order of the columns.
const METRICS: [(&str, Unit); 4] = [
    ("64 B one way", Unit::MessagesPerSecond),
    ("64 KiB one way", Unit::MegabytesPerSecond),
    ("64 B p50", Unit::Microseconds),
    ("64 in flight", Unit::MessagesPerSecond),
];

/// What all rounds of one contender gave, by metric.
#[derive(Default)]
struct Results {
    values: [Vec<f64>; METRICS.len()],
    failure: Option<anyhow::Error>,
}

/// Measures and reports. Returns whether everything went well.
///
/// # Errors
/// If the report cannot be written.
pub async fn run(options: &Options, json: Option<&Path>) -> anyhow::Result<bool> {
    let header = header(options);
    let mut output = Output::open(&header, json, None)?;
    output.progress.expect((options.contenders.len() * options.rounds) as u64);
    let mut results: Vec<Results> = options.contenders.iter().map(|_| Results::default()).collect();
    for round in 1..=options.rounds {
        for (&name, results) in options.contenders.iter().zip(&mut results) {
            if name.missing().is_none() && results.failure.is_none() {
                let (peer, transport) = (name.peer(), name.transport());
                output.progress.begin(format!("round {round}, {peer} {transport}"));
                results.failure = measure(name, options.window, results).await.err();
            }
            output.progress.advance();
        }
    }
    output.begin_scenario("one pair on one host, measured in turns; medians of all rounds");
    for (&name, results) in options.contenders.iter().zip(results) {
        report(&mut output, name, results)?;
    }
    output.end_scenario()?;
    let failed = output.has_failures();
    output.finish(BENCH, &header.summary(), |_| Vec::new())?;
    Ok(!failed)
}

fn header(options: &Options) -> Header {
    let mut described = BTreeMap::from([
        ("duration", format!("{:?}", options.window.measure)),
        ("rounds", options.rounds.to_string()),
    ]);
    if let Some(version) = nats::version() {
        described.insert("nats-server", version);
    }
    for name in &options.contenders {
        described.insert(name.peer(), name.note().to_owned());
    }
    let mut header = Header::new(BENCH, described);
    header.libraries = versions().collect();
    header
}

/// The versions of the peers and of what is below them.
pub fn versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    env!("PEERS_VERSIONS").split(',').filter_map(|library| library.split_once(' '))
}

async fn measure(name: Name, window: Window, results: &mut Results) -> anyhow::Result<()> {
    let mut contender = timeout(SLACK, name.start()).await.context("it does not start")??;
    let contender = contender.as_mut();
    let [small, large, median, requests] = &mut results.values;
    let flow = within(window, contender.one_way(SMALL, window), "64 B one way").await?;
    small.push(Flow::messages_per_second(&flow));
    let flow = within(window, contender.one_way(LARGE, window), "64 KiB one way").await?;
    large.push(Flow::megabytes_per_second(&flow));
    median.extend(within(window, contender.round_trip(window), "round trips").await?);
    if let Some(flow) = contender.requests(window) {
        let flow = within(window, flow, "requests").await?;
        requests.push(Flow::messages_per_second(&flow));
    }
    Ok(())
}

async fn within<T>(
    window: Window,
    measurement: BoxFuture<'_, anyhow::Result<T>>,
    what: &'static str,
) -> anyhow::Result<T> {
    let done = timeout(window.whole() + SLACK, measurement).await;
    done.with_context(|| format!("{what}: it does not end"))?.context(what)
}

fn report(output: &mut Output, name: Name, results: Results) -> anyhow::Result<()> {
    let params =
        Params::new().with("peer", name.peer().into()).with("transport", name.transport().into());
    let reason = match (name.missing(), results.failure) {
        (Some(why), _) => Some(Reason::Skipped(why)),
        (None, Some(error)) => Some(Reason::Failed(format!("{error:#}"))),
        (None, None) => None,
    };
    if let Some(reason) = reason {
        let gap = Gap { bench: BENCH, scenario: SCENARIO, params, reason };
        return Ok(output.gap(gap)?);
    }
    for ((metric, unit), values) in METRICS.into_iter().zip(results.values) {
        let Some(value) = median(values) else { continue };
        output.figure(Figure {
            bench: BENCH,
            scenario: SCENARIO,
            params: params.clone(),
            metric,
            unit,
            value: Some(value),
            floor: None,
            ratio: None,
        })?;
    }
    Ok(())
}

/// The middle value, or the upper of the two in the middle; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
