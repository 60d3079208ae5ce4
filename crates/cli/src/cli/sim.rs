//! The grammar of `dx sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Subcommand};

use super::ConfigArgs;
use crate::config::units;
use crate::simulate::{Faults, Fidelity};

/// `dx sim`.
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Run a cluster's agents in worlds that break things on purpose, one world for each seed.
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(Box<SimRun>),
    /// Run a seed that failed again, from the file that `dx sim run` kept.
    #[command(after_long_help = REPLAY_EXAMPLES)]
    Replay(SimReplay),
}

const RUN_EXAMPLES: &str = "\
Examples:
  dx sim run configs/local.toml                          100 seeds, all faults
  dx sim run configs/local.toml --seeds 10000 --jobs 4
  dx sim run configs/local.toml --faults crash,partition --down 2
  dx sim run configs/local.toml --from 17 --seeds 1      seed 17 only

Each seed draws its own mix of the faults that are allowed. After `--for` all is mended, and
progress is demanded. Exit code 0: all seeds are fine; 1: some failed; 2: the command line or the
configuration is wrong; 130: Ctrl-C came first, and what was done until then is reported.

Faults: crash, pause, suspend, partition, one-way, bridge, clog, session-loss, slow, drift,
disk-full, disk-failure; network stands for partition, one-way, bridge, clog and session-loss.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  dx sim replay local-seed-17.tape
  dx sim replay local-seed-17.tape --trace | less
  dx sim replay local-seed-17.tape --shrink              the failure, and little else
  dx sim replay local-seed-17.tape --svg failure.svg

The file has the cluster and the run's choices in it. Exit code 0: it does not fail any more; 1: it
fails; 2: it is no such file, or this program does not know its agents.";

/// `dx sim run`.
#[derive(Debug, Args)]
pub struct SimRun {
    /// What to simulate.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How many seeds to try.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value = "0")]
    pub from: u64,
    /// Worlds at the same time (default: one for each core). The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// How long things break in each world, in its own time.
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = lasting)]
    pub lasts: Duration,
    /// What may break: all, none, network, or kinds of faults with commas between.
    #[arg(long, value_name = "FAULTS", default_value = "all")]
    pub faults: Faults,
    /// How much of the network is real: `promises` models what sessions promise, `bytes` runs the real
    /// ones over connections that break at any byte, and takes longer.
    #[arg(long, value_enum, default_value_t)]
    pub fidelity: Fidelity,
    /// Nodes that may be down at once (default: fewer than half, but one).
    #[arg(long, value_name = "N")]
    pub down: Option<usize>,
    /// Run each seed twice: both runs must be the same.
    #[arg(long, action = ArgAction::SetTrue)]
    pub twice: bool,
    /// Stop when so many seeds have failed.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub failures: u16,
    /// Events that one world may take: with more it fails, as one that never ends.
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,
    /// Where failing seeds are kept (default: `$XDG_STATE_HOME/dx-sim`).
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// `dx sim replay`.
#[derive(Debug, Args)]
pub struct SimReplay {
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print all that happens, and what agents print.
    #[arg(long, action = ArgAction::SetTrue)]
    pub trace: bool,
    /// Make it small first: look for a plain and short run that breaks the same rule. It is kept
    /// beside the file, as `...-small.tape`, which is what is then replayed.
    #[arg(long, action = ArgAction::SetTrue)]
    pub shrink: bool,
    /// Also draw how it came to its failure, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "trace")]
    pub json: bool,
}

/// The longest `--for`: a year of pings is some ten thousand times what finds anything.
const LONGEST: Duration = Duration::from_hours(365 * 24);

fn lasting(text: &str) -> Result<Duration, String> {
    let lasts = units::duration::parse(text)?;
    if lasts.is_zero() || lasts > LONGEST {
        return Err("more than nothing and up to 365 days are possible".to_owned());
    }
    Ok(lasts)
}
