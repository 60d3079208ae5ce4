//! Measures dx and its peers side by side: one pair on one host, in turns, in one table.

mod contender;
mod load;
mod run;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use dx::bench::subject::Window;

use crate::contender::{Name, nats, zenoh};
use crate::run::Options;

/// Measures dx and its peers side by side.
#[derive(Debug, Parser)]
#[command(name = "run")]
struct Arguments {
    /// One short round: good for trying it out, not for quoting
    #[arg(long)]
    quick: bool,
    /// Write JSON Lines to FILE as well; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure each so often; the median is reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only these
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Name>,
    #[command(subcommand)]
    end: Option<End>,
}

/// What the program starts itself as.
#[derive(Debug, Subcommand)]
enum End {
    #[command(hide = true)]
    ZenohEnd(zenoh::end::Arguments),
}

/// A window of each measurement, without and with `--quick`.
const WINDOW: Window =
    Window { warmup: Duration::from_millis(300), measure: Duration::from_secs(1) };
const QUICK: Window =
    Window { warmup: Duration::from_millis(100), measure: Duration::from_millis(250) };

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.end {
        Some(End::ZenohEnd(end)) => zenoh::end::run(end).map(|()| true),
        None => compare(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If nobody reads standard error, the exit code still tells.
            drop(writeln!(io::stderr(), "peers: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> anyhow::Result<bool> {
    let contenders = if arguments.only.is_empty() {
        Name::value_variants().to_vec()
    } else {
        arguments.only.clone()
    };
    let options = Options {
        contenders,
        rounds: if arguments.quick { 1 } else { arguments.rounds.into() },
        window: if arguments.quick { QUICK } else { WINDOW },
    };
    // It only waits: all work is done on the ends' own threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let complete = runtime.block_on(run::run(&options, arguments.json.as_deref()))?;
    if arguments.json.as_deref() != Some(Path::new("-")) {
        io::stdout().write_all(notes(&options).as_bytes())?;
    }
    Ok(complete)
}

/// What stands below the table: how each was measured, and the versions.
fn notes(options: &Options) -> String {
    let mut text = String::from("\n");
    let mut last = "";
    for name in &options.contenders {
        if name.peer() != last {
            text.push_str(&format!("  {}: {}\n", name.peer(), name.note()));
        }
        last = name.peer();
    }
    let mut versions: Vec<String> = run::versions().map(|(n, v)| format!("{n} {v}")).collect();
    versions.extend(nats::version().map(|version| format!("nats-server {version}")));
    text.push_str(&format!("  versions: {}\n", versions.join(", ")));
    text
}
