//! The grammar of runs of a ring.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Subcommand};
use dx_transport::id::ClusterId;

use crate::config::units::size;
use crate::kinds::ring_member::{Cut, Model};
use crate::ring::Kill;
use crate::ring::accident::{share, time};

/// `dx ring`.
#[derive(Debug, Args)]
pub struct Ring {
    /// What to do.
    #[command(subcommand)]
    pub action: RingAction,
}

/// What can be done with rings.
#[derive(Debug, Subcommand)]
pub enum RingAction {
    /// Start members as processes of this machine, let them send, and compare their results.
    Run(Box<RingRun>),
    /// Make members of the slaves that wait, and compare their results.
    #[command(visible_alias = "coordinator", after_help = MASTER_EXAMPLES)]
    Master(Master),
    /// Wait to be made a member by a master, and be one.
    #[command(visible_alias = "member")]
    Slave(Slave),
}

const RUN_EXAMPLES: &str = "\
Each member prints `(count, sum)`, the sum's bits, and a hash of all that was delivered, in its
order: on standard output, a line per member. What happens meanwhile is on standard error.

Exit codes: 0 all members agree, 1 they do not or some came to no end, 2 the command line is wrong,
130 Ctrl-C. With --no-restart, a member that is killed says `killed` in place of a result, and it is
0 if all others, a majority, agree.

Examples:
  dx ring run                                     4 members send for 2 s
  dx ring run --messages 1000 --senders 1         prints the same with every transport
  dx ring run --members 5 --kill 5@500ms          kill the member that numbers; it comes back
  dx ring run --members 3 --kill 3@1s --no-restart
  dx ring run --model confirmed --drop 10%        what gets lost is sent again
  dx ring run --model naive --drop 10%            what gets lost is missing, and they disagree
  dx ring run --cut 1-4@500ms+2s                  nothing gets through between 1 and 4 for 2 s
  dx ring run --cluster r1                        if it is killed, the same again goes on";

const MASTER_EXAMPLES: &str = "\
Example, with times in microseconds:
  dx ring slave 127.0.0.1 10502 &
  dx ring slave 127.0.0.1 10503 &
  dx ring slave 127.0.0.1 10504 &
  dx ring master 127.0.0.1 10501 2000000 1000000 0

On two machines, of which the master's has a slave, too:
  dx ring slave 10.0.0.2 10502 --listen           there; prints a token
  dx ring slave 10.0.0.1 10502 &                  here
  dx ring master 10.0.0.1 10501 2000000 1000000 0 --join-file token";

/// `dx ring run`. What is not given has its default, or is as the run that goes on.
#[derive(Debug, Default, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RingRun {
    /// How many members (default: 4).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub members: Option<u16>,
    /// How messages get round, and get their places (default: flow).
    #[arg(long, value_enum)]
    pub model: Option<Model>,
    /// How long members send (default: 2s).
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub send_for: Option<Duration>,
    /// How long what is under way may take after that (default: 1s).
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub grace_for: Option<Duration>,
    /// What the numbers are drawn from (default: 0).
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Each sender sends so many messages, however long that takes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "send_for")]
    pub messages: Option<u64>,
    /// The bytes of a message (default: 64).
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub size: Option<usize>,
    /// So many members send, those with the lowest numbers (default: all).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub senders: Option<u16>,
    /// Lose this share of the messages between members: confirmed sends again, naive disagrees,
    /// flow and lcr refuse it.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub drop: Option<f64>,
    /// Let nothing get through between members A and B, from time T after SEND for time D. What
    /// they say meanwhile arrives later.
    #[arg(long, value_name = "A-B@T+D")]
    pub cut: Vec<Cut>,
    /// Kill a member's process (SIGKILL) at time T after SEND, if the run is not over by then.
    #[arg(long, value_name = "MEMBER@T")]
    pub kill: Vec<Kill>,
    /// The transport between members: tcp, tls or quic (default: tls).
    #[arg(long, value_name = "NAME", value_parser = ["tcp", "tls", "quic"])]
    pub transport: Option<String>,
    /// Leave a member that fails as it is.
    #[arg(long, action = ArgAction::SetTrue)]
    pub no_restart: bool,
    /// Name the run. If one of this name goes on, it is taken over; its results and logs stay.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<ClusterId>,
    /// Tell every delivery of a member's own messages on standard error.
    #[arg(long, action = ArgAction::SetTrue)]
    pub tell_own: bool,
    /// Print one JSON object.
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// `dx ring master`.
#[derive(Debug, Args)]
pub struct Master {
    /// The master's address. With the port it names the run: another master with the same goes
    /// on where this one stopped.
    pub host: String,
    /// See HOST.
    pub port: u16,
    /// How long members send, in microseconds.
    #[arg(value_name = "SEND_US")]
    pub send_us: u64,
    /// How long what is under way may take after that, in microseconds.
    #[arg(value_name = "GRACE_US")]
    pub grace_us: u64,
    /// What the numbers are drawn from.
    pub seed: u64,
    /// Wait until so many slaves of this machine are there (default: take those that are, at least one).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub slaves: Option<u16>,
    /// A file of mode 600 with the join token of a slave on another machine, as `dx ring slave HOST
    /// PORT --listen` prints it there. Once for each.
    #[arg(long, value_name = "FILE")]
    pub join_file: Vec<PathBuf>,
    /// How messages get round, and get their places.
    #[arg(long, value_enum, default_value = "flow")]
    pub model: Model,
    /// The transport between members.
    #[arg(long, value_name = "NAME", value_parser = ["tcp", "tls", "quic"], default_value = "tls")]
    pub transport: String,
    /// Leave a member that fails as it is.
    #[arg(long, action = ArgAction::SetTrue)]
    pub no_restart: bool,
    /// Print one JSON object.
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// `dx ring slave`.
#[derive(Debug, Args)]
pub struct Slave {
    /// The address at which it will listen.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Wait for a master on another machine: print a join token, by which it can make this a
    /// member. Whoever has the token can: carry it over a channel that you trust.
    #[arg(long, action = ArgAction::SetTrue)]
    pub listen: bool,
}

/// A model that can be measured: the naive one ends with the first failure.
pub fn measured(model: Model) -> Result<Model, String> {
    if model.guarantees_agreement() {
        Ok(model)
    } else {
        Err(format!("{} members are in no ring: see `dx ring run`", model.name()))
    }
}

/// The longest time of a stage: a longer one is a mistake of units.
const MAX_PERIOD: Duration = Duration::from_hours(24);

fn period(text: &str) -> Result<Duration, String> {
    let time = time(text, "write a number and a unit, as in `2s`").map_err(|it| it.to_string())?;
    if time > MAX_PERIOD { Err("it is longer than a day".to_owned()) } else { Ok(time) }
}

/// The largest message.
const MAX_SIZE: usize = 8 << 20;

/// A size of messages whose latency and throughput are measured.
pub fn message_size(text: &str) -> Result<usize, String> {
    let bytes = bytes(text)?;
    if bytes < MIN_MEASURED { Err(format!("{MIN_MEASURED} bytes is the least")) } else { Ok(bytes) }
}

/// A message of the bench has a number and a time.
const MIN_MEASURED: usize = 16;

fn bytes(text: &str) -> Result<usize, String> {
    let bytes = match text.parse() {
        Ok(bytes) => bytes,
        Err(_) => size::parse(text)?,
    };
    let least = dx_ring::run::Command::MIN_DATA;
    if (least..=MAX_SIZE).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("{least} bytes to {} are possible", size::text(MAX_SIZE)))
    }
}
