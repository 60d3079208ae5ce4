//! Measures agents of dx and actors of others side by side, in turns, in one table.

mod run;
mod system;
mod work;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::run::{Options, Workload};
use crate::system::Name;

/// Measures agents of dx and actors of others side by side.
#[derive(Debug, Parser)]
#[command(name = "run agents")]
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
    /// Only this
    #[arg(long, value_delimiter = ',', value_enum)]
    workload: Vec<Workload>,
    #[command(subcommand)]
    child: Option<Child>,
}

/// What the program starts itself as.
#[derive(Debug, Subcommand)]
enum Child {
    #[command(hide = true)]
    Spawn { system: Name, count: u64 },
}

/// Time per measurement, without and with `--quick`.
const TIME: Duration = Duration::from_secs(1);
const QUICK_TIME: Duration = Duration::from_millis(100);

/// Actors of the spawn workload, without and with `--quick`.
const IDLE: u64 = 100_000;
const QUICK_IDLE: u64 = 20_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // It only waits: all work is done on threads of its own.
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(carry_out(&arguments)));
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

async fn carry_out(arguments: &Arguments) -> anyhow::Result<bool> {
    if let Some(Child::Spawn { system, count }) = arguments.child {
        run::report_cost(system.spawn(count).await?)?;
        return Ok(true);
    }
    let options = Options {
        systems: all_if_empty(&arguments.only),
        workloads: all_if_empty(&arguments.workload),
        rounds: if arguments.quick { 1 } else { arguments.rounds.into() },
        time: if arguments.quick { QUICK_TIME } else { TIME },
        idle: if arguments.quick { QUICK_IDLE } else { IDLE },
    };
    let complete = run::run(&options, arguments.json.as_deref()).await?;
    if arguments.json.as_deref() != Some(Path::new("-")) {
        io::stdout().write_all(notes(&options).as_bytes())?;
    }
    Ok(complete)
}

/// Nothing chosen means everything; something chosen twice is measured once, in the usual order.
fn all_if_empty<T: ValueEnum + PartialEq>(chosen: &[T]) -> Vec<T> {
    let all = T::value_variants().iter().cloned();
    if chosen.is_empty() { all.collect() } else { all.filter(|v| chosen.contains(v)).collect() }
}

/// What stands below the table: how each was measured, and the versions.
fn notes(options: &Options) -> String {
    let mut text = String::from("\n");
    for name in &options.systems {
        text.push_str(&format!("  {name}: {}\n", name.note()));
    }
    let versions: Vec<String> = run::versions().map(|(n, v)| format!("{n} {v}")).collect();
    text.push_str(&format!("  versions: {}\n", versions.join(", ")));
    text
}
