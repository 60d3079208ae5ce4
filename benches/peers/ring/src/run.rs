//! The rounds: every contender in turn on the same hosts, then the next row; then all of it again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use dx::bench::course::median;
use dx::bench::header::Header;
use dx::bench::output::Output;
use dx::bench::report::{Param, Params, Part, Reason, Unit};
use dx::bench::ring::{self, Done, Kit, Load};
use dx::bench::transport::TransportName;
use dx::kinds::ring_member::Model;

use crate::corosync::{self, Setting};
use crate::hosts::Hosts;

const BENCH: &str = "peers";

/// What links carry, in bits per second, each way.
const RATE: u64 = 100_000_000;

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The model flow over TCP, which proves the cluster's secret and goes on in the clear.
    DxTcp,
    /// The model flow over TLS.
    DxTls,
    /// Corosync as it is installed.
    Corosync,
    /// Corosync with a tuned token.
    CorosyncTuned,
    /// Corosync with a tuned token and encryption.
    CorosyncEncrypted,
}

impl Name {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    fn column(self) -> &'static str {
        match self {
            Self::DxTcp => "dx tcp",
            Self::DxTls => "dx tls",
            Self::Corosync => "corosync",
            Self::CorosyncTuned => "tuned",
            Self::CorosyncEncrypted => "tuned, encrypted",
        }
    }

    fn contender(self) -> Contender {
        match self {
            Self::DxTcp => Contender::Dx(TransportName::Tcp),
            Self::DxTls => Contender::Dx(TransportName::Tls),
            Self::Corosync => Contender::Corosync(Setting::Default),
            Self::CorosyncTuned => Contender::Corosync(Setting::Tuned),
            Self::CorosyncEncrypted => Contender::Corosync(Setting::TunedEncrypted),
        }
    }
}

/// How a contender is started.
enum Contender {
    Dx(TransportName),
    Corosync(Setting),
}

/// How to measure.
pub struct Options {
    /// Who, in the order of the columns.
    pub contenders: Vec<Name>,
    /// How often each is measured; the median is reported.
    pub rounds: usize,
    /// How long each time.
    pub time: Duration,
}

/// What is measured: a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    members: u16,
    senders: u16,
    size: usize,
}

/// A table: hosts of one kind.
struct Table {
    scenario: &'static str,
    title: &'static str,
    bits_per_second: Option<u64>,
    unit: Unit,
    rows: Vec<Row>,
}

/// What all rounds gave.
#[derive(Default)]
struct Results {
    values: BTreeMap<&'static str, Vec<f64>>,
    failures: BTreeMap<&'static str, String>,
    changes: BTreeMap<&'static str, usize>,
}

fn tables() -> [Table; 2] {
    let rows = |members: u16, sizes: &[usize]| {
        let of = |senders| sizes.iter().map(move |size| Row { members, senders, size: *size });
        [1, members].into_iter().flat_map(of).collect::<Vec<_>>()
    };
    let title = "hosts with links of 100 Mbit/s: delivered by all members";
    let open = "hosts with links as fast as the machine: delivered by all members";
    [
        Table {
            scenario: "ring-shaped",
            title,
            bits_per_second: Some(RATE),
            unit: Unit::MegabytesPerSecond,
            rows: [rows(3, &[64, 8192]), rows(5, &[64, 8192])].concat(),
        },
        Table {
            scenario: "ring-open",
            title: open,
            bits_per_second: None,
            unit: Unit::MessagesPerSecond,
            rows: rows(3, &[64]),
        },
    ]
}

/// Measures and reports. Returns whether everything went well.
pub async fn run(options: &Options, json: Option<&Path>) -> anyhow::Result<bool> {
    let mut output = Output::open(&header(options), json, None)?;
    let (tables, mut remarked) = (tables(), Vec::new());
    let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
    output.progress.expect((rows * options.contenders.len() * options.rounds) as u64);
    for table in &tables {
        let mut results: Vec<Results> = table.rows.iter().map(|_| Results::default()).collect();
        for round in 1..=options.rounds {
            for (row, results) in table.rows.iter().zip(&mut results) {
                let what = format!("round {round}, {}, {row:?}", table.scenario);
                turn(options, table, *row, results, &mut output, &what).await?;
            }
        }
        output.begin_scenario(table.title);
        for (row, results) in table.rows.iter().zip(results) {
            remarked.extend(remarks(table, *row, &results));
            report(&mut output, options, table, *row, results)?;
        }
        output.end_scenario()?;
    }
    let failed = output.has_failures();
    output.finish("benches/peers/run ring", "", |_| Vec::new())?;
    if json != Some(Path::new("-")) {
        io::stdout().write_all((notes() + &remarked.concat()).as_bytes())?;
    }
    Ok(!failed)
}

/// Every contender once, one after the other on the same hosts.
async fn turn(
    options: &Options,
    table: &Table,
    row: Row,
    results: &mut Results,
    output: &mut Output,
    what: &str,
) -> anyhow::Result<()> {
    let hosts = Hosts::new(row.members.into(), table.bits_per_second)
        .context("this machine has no laboratory of hosts")?;
    for name in &options.contenders {
        let column = name.column();
        output.progress.begin(format!("{what}, {column}"));
        match measure(*name, row, &hosts, options.time).await {
            Ok((done, changes)) => {
                let rate = done.messages as f64 / done.took.as_secs_f64();
                let is_bytes = table.unit == Unit::MegabytesPerSecond;
                let value = if is_bytes { rate * row.size as f64 / 1e6 } else { rate };
                results.values.entry(column).or_default().push(value);
                *results.changes.entry(column).or_default() += changes;
            }
            Err(error) => {
                results.failures.insert(column, format!("{error:#}"));
            }
        }
        output.progress.advance();
    }
    Ok(())
}

async fn measure(
    name: Name,
    row: Row,
    hosts: &Hosts,
    time: Duration,
) -> anyhow::Result<(Done, usize)> {
    let (members, senders) = (row.members.into(), row.senders.into());
    match name.contender() {
        Contender::Dx(transport) => {
            let load = Load::Full(row.size);
            let kit = Kit { model: Model::Flow, transport, members, senders, load };
            Ok((ring::measure(kit, hosts.sites(), time).await?, 0))
        }
        Contender::Corosync(setting) => {
            let outcome = corosync::measure(setting, hosts, (senders, row.size), time).await?;
            Ok((outcome.done, outcome.changes))
        }
    }
}

fn report(
    output: &mut Output,
    options: &Options,
    table: &Table,
    row: Row,
    mut results: Results,
) -> anyhow::Result<()> {
    let part = Part { bench: BENCH, scenario: table.scenario };
    let params = Params::new()
        .with("members", Param::Count(row.members.into()))
        .with("senders", Param::Count(row.senders.into()))
        .with("bytes", Param::Bytes(row.size as u64));
    let (mut slowest, mut best) = (None::<f64>, None::<f64>);
    for name in &options.contenders {
        let column = name.column();
        let Some(value) = results.values.remove(column).and_then(median) else { continue };
        match name.contender() {
            Contender::Dx(_) => slowest = Some(slowest.map_or(value, |it| it.min(value))),
            Contender::Corosync(_) => best = Some(best.map_or(value, |it| it.max(value))),
        }
        output.figure(part.figure(params.clone(), (column, table.unit), Some(value)))?;
    }
    let ratio = slowest.zip(best).filter(|(_, best)| *best > 0.0).map(|(dx, best)| dx / best);
    if ratio.is_some() {
        output.figure(part.figure(params.clone(), ("least / best", Unit::Ratio), ratio))?;
    }
    for (column, failure) in results.failures {
        let reason = Reason::Failed(format!("{column}: {failure}"));
        output.gap(part.gap(params.clone(), reason))?;
    }
    Ok(())
}

/// What happened beside the figures of a row.
fn remarks(table: &Table, row: Row, results: &Results) -> Vec<String> {
    let Row { members, senders, size } = row;
    let changed = results.changes.iter().filter(|(_, changes)| **changes > 0);
    let remark = |(column, changes): (&&str, &usize)| {
        let scenario = table.scenario;
        format!(
            "  {scenario}, {members} members, {senders} send, {size} B: under this load, members of \
             `{column}` saw others leave: {changes}\n"
        )
    };
    changed.map(remark).collect()
}

fn header(options: &Options) -> Header {
    let described = BTreeMap::from([
        ("duration", format!("{:?}", options.time)),
        ("rounds", options.rounds.to_string()),
        ("corosync", corosync::version().unwrap_or_default()),
        ("tuned", Setting::Tuned.text().trim().replace('\n', ", ")),
        ("encrypted", Setting::TunedEncrypted.text().trim().replace('\n', ", ")),
    ]);
    Header::new(BENCH, described)
}

/// What stands below the tables.
fn notes() -> String {
    let line = |setting: Setting| setting.text().trim().replace('\n', ", ");
    format!(
        "\n  dx: the model flow, delivered when a majority holds a message\n\
         \x20 corosync {}: transport knet, sched_rr off; by default not encrypted, token 3 s\n\
         \x20 tuned: {}\n  tuned, encrypted: {}\n\
         \x20 least / best: the slower of dx's columns over the fastest of corosync's\n",
        corosync::version().unwrap_or_else(|| "of an unknown version".to_owned()),
        line(Setting::Tuned),
        line(Setting::TunedEncrypted),
    )
}
