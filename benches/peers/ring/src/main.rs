//! Measures the ring of dx and corosync side by side: on the same hosts, in turns, in one table.

mod corosync;
mod cpg;
mod hosts;
mod run;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::run::{Name, Options};

/// Measures the ring of dx and corosync side by side.
#[derive(Debug, Parser)]
#[command(name = "run ring")]
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
}

/// The time that each measurement takes, beside a quarter of it to come up to speed.
const TIME: Duration = Duration::from_secs(3);
const QUICK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match compare(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If nobody reads standard error, the exit code still tells.
            drop(writeln!(io::stderr(), "peers: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: Arguments) -> anyhow::Result<bool> {
    let only = arguments.only;
    let options = Options {
        contenders: Name::all().filter(|it| only.is_empty() || only.contains(it)).collect(),
        rounds: if arguments.quick { 1 } else { arguments.rounds.into() },
        time: if arguments.quick { QUICK } else { TIME },
    };
    // It only waits: all work is done by threads on the hosts.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run::run(&options, arguments.json.as_deref()))
}
