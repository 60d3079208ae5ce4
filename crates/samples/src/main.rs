//! `dx-samples`: runs the samples, and compares how their planted bugs are found.

use std::io::{self, Write};
use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use dx_samples::compare::{Row, write_head, write_sums};
use dx_samples::short::READABLE;
use dx_samples::{Planted, SAMPLES, Sample, Search, Short, Trouble};

/// Small systems with planted bugs, and how they are found.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 all is as it should be, 1 it is not, 2 a mistake in the \
    command line.\n\nExamples:\n  dx-samples bugs --jobs 4\n  dx-samples bugs --bug lock/no-margin\n  \
    dx-samples run register --seeds 10000\n  dx-samples run register --bug register/no-write-back")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks for each planted bug in every way, and prints how long that took.
    Bugs {
        #[command(flatten)]
        how: How,
        /// This one only; may be repeated.
        #[arg(long, value_name = "SAMPLE/BUG", value_parser = bug_names(), hide_possible_values = true)]
        bug: Vec<String>,
    },
    /// Lists samples and their bugs.
    List,
    /// Tries a sample in many seeds, as it should be or with a bug.
    Run {
        /// Which; all without it.
        #[arg(value_parser = sample_names())]
        sample: Option<String>,
        #[command(flatten)]
        how: How,
        /// With this bug in it.
        #[arg(long, value_name = "SAMPLE/BUG", value_parser = bug_names(), hide_possible_values = true)]
        bug: Option<String>,
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Where faults come from.
        #[arg(long, default_value = "swarm", value_parser = search_names())]
        search: String,
    },
    /// Makes a failure of each bug as small as possible, and prints how small that is: events of the
    /// whole run, and of these what can have mattered. What has 40 rows and more to read then is tried
    /// with more seeds and runs, twice.
    Shrink {
        /// With a diagram of each.
        #[arg(long)]
        draw: bool,
        /// Seeds that are tried by each search, to shrink the shortest of their failures.
        #[arg(long, default_value = "1000")]
        seeds: NonZeroU64,
        /// Runs that may be spent to shrink one.
        #[arg(long, default_value = "1000")]
        runs: NonZeroU64,
        /// This one only; may be repeated.
        #[arg(long, value_name = "SAMPLE/BUG", value_parser = bug_names(), hide_possible_values = true)]
        bug: Vec<String>,
    },
    /// Prints a number for each sample that is the same on every machine.
    Hashes,
}

#[derive(Args)]
struct How {
    /// Seeds that are tried at most.
    #[arg(long, default_value = "1000")]
    seeds: NonZeroU64,
    /// Threads; the result does not depend on them.
    #[arg(long, default_value = "1")]
    jobs: NonZeroUsize,
    /// For programs.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match carry_out(Line::parse().command, &mut out) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that this failed too.
            let _ = writeln!(io::stderr(), "dx-samples: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::Bugs { how, bug } => bugs(&how, &bug, out),
        Command::List => list(out),
        Command::Run { sample, how, bug, from, search } => {
            let bug =
                bug.as_deref().map(|name| planted(name).context("it was checked")).transpose()?;
            let named = sample.as_deref().or(bug.map(|(sample, _)| sample.name));
            if let Some((other, bug)) = bug.filter(|(other, _)| Some(other.name) != named) {
                return mistake(&format!(
                    "`{}` is a bug of the sample {}, not of {}",
                    full_name(other, bug),
                    other.name,
                    named.unwrap_or_default(),
                ));
            }
            let search = Search::ALL.into_iter().find(|it| it.name() == search);
            let search = search.context("it was checked")?;
            let seeds = from..from.saturating_add(how.seeds.get());
            run(named, bug.map(|(_, bug)| bug), search, seeds, &how, out)
        }
        Command::Shrink { bug, draw, seeds, runs } => {
            let (seeds, runs) = (seeds.get(), runs.get());
            shrink(&bug, draw, &Trouble { seeds, runs, ..Trouble::default() }, out)
        }
        Command::Hashes => {
            for sample in SAMPLES {
                writeln!(out, "{} {:#018x}", sample.name, sample.hash(1))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn mistake(what: &str) -> anyhow::Result<ExitCode> {
    Line::command().error(ErrorKind::ArgumentConflict, what).print()?;
    Ok(ExitCode::from(2))
}

fn bugs(how: &How, wanted: &[String], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    if !how.json {
        write_head(out)?;
    }
    for (sample, bug) in all_bugs() {
        if !wanted.is_empty() && !wanted.contains(&full_name(sample, bug)) {
            continue;
        }
        let row = Row::of(sample, bug, how.seeds.get(), how.jobs.get());
        if !how.json {
            writeln!(out, "{row}")?;
            out.flush()?;
        }
        rows.push(row);
    }
    if how.json {
        serde_json::to_writer_pretty(&mut *out, &rows)?;
        writeln!(out)?;
    } else {
        write_sums(&rows, out)?;
    }
    Ok(if rows.iter().all(Row::is_found) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    for sample in SAMPLES {
        writeln!(out, "{}: {}", sample.name, sample.about)?;
        for bug in sample.bugs {
            writeln!(out, "  {}: {}", full_name(sample, bug), bug.about)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run(
    sample: Option<&str>,
    bug: Option<&Planted>,
    search: Search,
    seeds: std::ops::Range<u64>,
    how: &How,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let mut has_failed = false;
    let mut reports = serde_json::Map::new();
    for it in SAMPLES.into_iter().filter(|it| sample.is_none_or(|name| it.name == name)) {
        let report = search.look(it, bug.map(|bug| bug.name), seeds.clone(), how.jobs.get());
        has_failed |= report.first().is_some();
        if how.json {
            reports.insert(it.name.to_owned(), serde_json::to_value(&report)?);
            continue;
        }
        writeln!(out, "== {}: {}", it.name, it.about)?;
        writeln!(out, "{report}")?;
        if let Some(failure) = report.first() {
            writeln!(out, "{failure}")?;
        }
        out.flush()?;
    }
    if how.json {
        serde_json::to_writer_pretty(&mut *out, &reports)?;
        writeln!(out)?;
    }
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn shrink(
    wanted: &[String],
    draw: bool,
    trouble: &Trouble,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    writeln!(
        out,
        "{:<29}  {:>8}  {:>8}  {:>8}",
        "events of the run", "found", "shrunk", "to read"
    )?;
    let mut is_short = true;
    for (sample, bug) in all_bugs() {
        let name = full_name(sample, bug);
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let Some(short) = Short::readable(sample, bug, trouble) else {
            writeln!(out, "{name:<29}  not found")?;
            is_short = false;
            continue;
        };
        let (found, shrunk, rows) = (short.found, short.failure.events, short.rows());
        let search = short.search.name();
        writeln!(out, "{name:<29}  {found:>8}  {shrunk:>8}  {rows:>8}  {search}")?;
        if draw {
            writeln!(out, "\n{}", short.explanation)?;
        }
        out.flush()?;
        is_short &= rows < READABLE;
    }
    Ok(if is_short { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |error: &(dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        io.or_else(|| error.downcast_ref::<serde_json::Error>()?.io_error_kind())
    };
    error.chain().any(|error| kind(error) == Some(io::ErrorKind::BrokenPipe))
}

fn all_bugs() -> impl Iterator<Item = (&'static Sample, &'static Planted)> {
    SAMPLES.into_iter().flat_map(|sample| sample.bugs.iter().map(move |bug| (sample, bug)))
}

fn full_name(sample: &Sample, bug: &Planted) -> String {
    format!("{}/{}", sample.name, bug.name)
}

fn planted(name: &str) -> Option<(&'static Sample, &'static Planted)> {
    all_bugs().find(|(sample, bug)| full_name(sample, bug) == name)
}

fn bug_names() -> PossibleValuesParser {
    PossibleValuesParser::new(all_bugs().map(|(sample, bug)| full_name(sample, bug)))
}

fn sample_names() -> PossibleValuesParser {
    PossibleValuesParser::new(SAMPLES.map(|sample| sample.name))
}

fn search_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Search::SEEDED.map(Search::name))
}
