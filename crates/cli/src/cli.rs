//! The grammar of the command line, and nothing else.

mod cluster;
mod config;
mod job;
mod nodes;
mod ring;
mod sim;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{EnumValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};

use dx_transport::id::{ClusterId, NodeId};

use crate::bench::effort::Effort;
use crate::bench::transport::{Options, ScenarioName, TransportName};
use crate::bench::{self, agents, ring as ring_bench};
use crate::home::NodeName;
use crate::kinds::ring_member::Model;

pub use cluster::{Agent, AgentAction, Down, Node, Status, Up, Which};
pub use config::{Config, ConfigArgs};
pub use job::{
    Act, Cancel, Graph, Hold, Job, JobAction, JobOptions, JobPriority, List, Logs, OneTask, Remove,
    Retry, Run, Show, Submit, Tree, Wait,
};
pub use nodes::{Nodes, NodesAction, Progress, Query, QueryAction};
pub use ring::{Master, Ring, RingAction, RingRun, Slave};
pub use sim::{Sim, SimReplay, SimRun};
pub use token::{Token, TokenAction};

/// Write a distributed program once; run it on threads, over a mesh, and in a simulator.
#[derive(Debug, Parser)]
#[command(name = "dx", version = crate::bench::header::VERSION, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster's nodes on this machine, and watch over them.
    Up(Up),
    /// Stop them.
    Down(Down),
    /// Show how a cluster stands.
    Status(Status),
    /// Run one node of a cluster, or wait to become one.
    Node(Node),
    /// Run a command on a node of the cluster, as if it ran here.
    Run(Box<Run>),
    /// Submit, watch and steer jobs.
    Job(Job),
    /// Show the nodes that run jobs, and take them out of use.
    Nodes(Nodes),
    /// Ask in a word how executors and tasks stand.
    Query(Query),
    /// Inside a task: say how far it is.
    Progress(Progress),
    /// Hold the child processes of a node's jobs: nodes start this themselves.
    #[command(hide = true)]
    Shim(Shim),
    /// List agents, and measure the way to them.
    Agent(Agent),
    /// Simulate a cluster's agents in worlds that break things on purpose; replay what failed.
    #[command(subcommand)]
    Sim(Sim),
    /// Run a ring whose members agree on one order, whatever dies.
    Ring(Ring),
    /// Measure dx on this machine: `dx bench` alone measures the transports.
    Bench(Box<Bench>),
    /// Make, show and renew the certificates of a cluster's nodes.
    Cert(Cert),
    /// Make, list and revoke the tokens by which others use the job API over TCP.
    Token(Token),
    /// Show, check and explain configurations.
    #[command(subcommand)]
    Config(Config),
    /// Print the completion script of a shell.
    Completions {
        /// The shell that will source it.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, as roff: `dx man | man -l -`.
    Man,
}

/// `dx shim`.
#[derive(Debug, Args)]
pub struct Shim {
    /// Its folder.
    pub folder: PathBuf,
    /// The number of its node.
    pub node: u32,
}

/// `dx cert`.
#[derive(Debug, Args)]
pub struct Cert {
    /// What to do.
    #[command(subcommand)]
    pub action: CertAction,
    /// The cluster.
    #[arg(long, global = true, value_name = "NAME", env = "DX_CLUSTER", default_value = "local")]
    pub cluster: ClusterId,
    /// Print one JSON object instead of a table.
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum CertAction {
    /// Make the cluster's authority and secret, if there are none yet. Starting a node does so, too.
    Init,
    /// Show all certificates of the cluster on this machine, and what is wrong with them.
    Show,
    /// Make a node's key and certificate. Starting a node does so, too.
    Issue {
        /// The node's name.
        node: NodeName,
        /// The node's number in the cluster file (default: that of the certificate that is
        /// there, or else the one in its name, as in `n7`).
        #[arg(long, value_name = "N", value_parser = node_id)]
        id: Option<NodeId>,
        /// Replace a certificate that is there; the key stays, if it can be used.
        #[arg(long, action = ArgAction::SetTrue)]
        replace: bool,
    },
    /// Renew these nodes' certificates, or all of which less than a third of its life is left.
    Renew {
        /// The nodes.
        nodes: Vec<NodeName>,
    },
    /// Print the SHA-256 of the authority's certificate, or of a node's.
    Fingerprint {
        /// The node.
        node: Option<NodeName>,
    },
}

fn node_id(text: &str) -> Result<NodeId, String> {
    text.parse().map(NodeId).map_err(|_| format!("it is no number from 0 to {}", u32::MAX))
}

/// `dx bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    /// Which bench.
    #[command(subcommand)]
    pub subject: Option<BenchSubject>,
    /// The options of the transport bench, for when no other is named.
    #[command(flatten)]
    pub transport: TransportBench,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchSubject {
    /// The mesh: throughput, latency, many nodes, broken links, slow readers.
    Transport(TransportBench),
    /// Agents: telling, asking, starting, computing elsewhere, journal, from node to node.
    Agents(AgentsBench),
    /// The simulator: events per second, with faults, recorded, watched.
    Sim(SimBench),
    /// A ring's members: throughput, latency, the gap when one is killed.
    Ring(RingBench),
    /// Jobs: tasks per second beside a bare loop and other tools, what one costs, a restart.
    Scheduler(SchedulerBench),
}

/// `dx bench transport`.
#[derive(Debug, Args)]
pub struct TransportBench {
    /// Only these transports.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub transport: Vec<TransportName>,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub scenario: Vec<ScenarioName>,
    /// Also measure the least that the same work costs without dx, in turn with it: raw tokio,
    /// tokio-rustls and quinn. Prints the ratio.
    #[arg(long, action = ArgAction::SetTrue)]
    pub floor: bool,
    /// Nodes of the all-to-all scenario (default: 16, or 8 with --quick).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=256))]
    pub nodes: Option<u32>,
    /// Measure what otherwise has a process of its own in this one.
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    pub in_process: bool,
    /// How long, and where the results go.
    #[command(flatten)]
    pub output: Output,
}

/// `dx bench agents`.
#[derive(Debug, Args)]
pub struct AgentsBench {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub scenario: Vec<agents::ScenarioName>,
    /// Only these transports, in the remote scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub transport: Vec<TransportName>,
    /// Also measure the least that the same work costs without agents, in turn with it: queues,
    /// channels, threads and files of the standard library, and the mesh alone. Prints the ratio.
    #[arg(long, action = ArgAction::SetTrue)]
    pub floor: bool,
    /// Where the journal scenario puts its files, on the disk in question (default: where
    /// temporary files go).
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Agents of the spawn scenario (default: 100000, or 20000 with --quick).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub agents: Option<u32>,
    /// Measure what otherwise has a process of its own in this one.
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    pub in_process: bool,
    /// How long, and where the results go.
    #[command(flatten)]
    pub output: Output,
}

/// `dx bench sim`.
#[derive(Debug, Args)]
pub struct SimBench {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub scenario: Vec<bench::sim::ScenarioName>,
    /// How long, and where the results go.
    #[command(flatten)]
    pub output: Output,
}

/// `dx bench ring`.
#[derive(Debug, Args)]
pub struct RingBench {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub scenario: Vec<ring_bench::ScenarioName>,
    /// Only these models.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = EnumValueParser::new().try_map(ring::measured))]
    pub model: Vec<Model>,
    /// These transports (default: tcp, tls and quic; with --quick, tcp).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub transport: Vec<TransportName>,
    /// These numbers of members (default: 2,3,5,8,16; with --quick, 3).
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", value_parser = clap::value_parser!(u16).range(2..=64))]
    pub members: Vec<u16>,
    /// These sizes of messages, in bytes or with a unit (default: 64,1KiB,8KiB,64KiB,1MiB; with
    /// --quick, 64 and 8KiB).
    #[arg(long, value_delimiter = ',', value_name = "SIZES", value_parser = ring::message_size)]
    pub size: Vec<usize>,
    /// How long, and where the results go.
    #[command(flatten)]
    pub output: Output,
}

/// `dx bench scheduler`.
#[derive(Debug, Args)]
pub struct SchedulerBench {
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub scenario: Vec<bench::scheduler::ScenarioName>,
    /// Tasks of the scenarios no-exec, restart and million (default: 100000, 100000 and 1000000; with
    /// --quick, 5000, 2000 and 20000).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub tasks: Option<u32>,
    /// Where nodes keep their folders, on the disk in question (default: where temporary files
    /// go).
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// How long, and where the results go.
    #[command(flatten)]
    pub output: Output,
}

/// What every bench understands.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// Everything once and briefly, in under 20 seconds. Good for "does it work here", not for
    /// comparisons.
    #[arg(long, action = ArgAction::SetTrue)]
    pub quick: bool,
    /// Seconds per measurement (default: 1).
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "quick")]
    pub duration: Option<Duration>,
    /// Also write every figure as a line of JSON; `-` is standard output, and then there is no
    /// table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also draw the figures, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

impl Output {
    fn effort(&self) -> Effort {
        Effort { quick: self.quick, duration: self.duration }
    }
}

/// The longest `--duration`: an hour per measurement is a mistake of units.
const MAX_DURATION_SECONDS: f64 = 3600.0;

/// The shortest: below it, the start and the end of a measurement are most of it.
const MIN_DURATION_SECONDS: f64 = 0.01;

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 =
        text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| "not a number of seconds")?;
    if (MIN_DURATION_SECONDS..=MAX_DURATION_SECONDS).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(format!("{MIN_DURATION_SECONDS} to {MAX_DURATION_SECONDS} seconds are possible"))
    }
}

impl From<TransportBench> for Options {
    fn from(arguments: TransportBench) -> Self {
        Self {
            transports: all_if_empty(&arguments.transport),
            scenarios: all_if_empty(&arguments.scenario),
            floor: arguments.floor,
            nodes: arguments.nodes,
            in_process: arguments.in_process,
            effort: arguments.output.effort(),
            laboratory: None,
        }
    }
}

impl From<AgentsBench> for agents::Options {
    fn from(arguments: AgentsBench) -> Self {
        Self {
            scenarios: all_if_empty(&arguments.scenario),
            floor: arguments.floor,
            agents: arguments.agents,
            transports: all_if_empty(&arguments.transport),
            folder: arguments.folder,
            in_process: arguments.in_process,
            effort: arguments.output.effort(),
        }
    }
}

impl From<SimBench> for bench::sim::Options {
    fn from(arguments: SimBench) -> Self {
        Self { scenarios: all_if_empty(&arguments.scenario), effort: arguments.output.effort() }
    }
}

impl From<RingBench> for ring_bench::Options {
    fn from(arguments: RingBench) -> Self {
        fn or<T: Copy>(chosen: Vec<T>, quick: bool, brief: &[T], all: &[T]) -> Vec<T> {
            match (chosen.is_empty(), quick) {
                (false, _) => chosen,
                (true, true) => brief.to_vec(),
                (true, false) => all.to_vec(),
            }
        }
        use TransportName::{Quic, Tcp, Tls};
        let quick = arguments.output.quick;
        Self {
            scenarios: all_if_empty(&arguments.scenario),
            models: measured(&arguments.model),
            transports: or(arguments.transport, quick, &[Tcp], &[Tcp, Tls, Quic]),
            members: or(arguments.members, quick, &[3], &[2, 3, 5, 8, 16]),
            sizes: or(
                arguments.size,
                quick,
                &[64, 8 << 10],
                &[64, 1 << 10, 8 << 10, 64 << 10, 1 << 20],
            ),
            effort: arguments.output.effort(),
            laboratory: None,
        }
    }
}

impl From<SchedulerBench> for bench::scheduler::Options {
    fn from(arguments: SchedulerBench) -> Self {
        Self {
            scenarios: all_if_empty(&arguments.scenario),
            folder: arguments.folder,
            tasks: arguments.tasks,
            effort: arguments.output.effort(),
        }
    }
}

/// Those of a ring.
fn measured(chosen: &[Model]) -> Vec<Model> {
    all_if_empty(chosen).into_iter().filter(|model| ring::measured(*model).is_ok()).collect()
}

/// Nothing chosen means everything; something chosen twice is measured once, in the usual order.
fn all_if_empty<T: clap::ValueEnum + PartialEq>(chosen: &[T]) -> Vec<T> {
    let all = T::value_variants().iter().cloned();
    if chosen.is_empty() { all.collect() } else { all.filter(|v| chosen.contains(v)).collect() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bench_alone_means_the_transport_bench() {
        let Command::Bench(alone) = Cli::parse_from(["dx", "bench", "--quick"]).command else {
            panic!("`dx bench` is not a bench");
        };
        assert!(alone.subject.is_none() && alone.transport.output.quick);
    }

    #[test]
    fn a_duration_is_seconds_within_reason() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["", "-1", "0", "nan", "inf", "1e9", "2m"] {
            assert!(seconds(wrong).is_err(), "`{wrong}` was accepted");
        }
    }

    #[test]
    fn names_are_measured_once_and_in_order() {
        let arguments =
            ["dx", "bench", "--transport", "quic,tcp,tcp", "--scenario", "control,throughput"];
        let Command::Bench(bench) = Cli::parse_from(arguments).command else {
            panic!("`dx bench` is not a bench");
        };
        let options = Options::from(bench.transport);
        assert_eq!(options.transports, [TransportName::Tcp, TransportName::Quic]);
        assert_eq!(options.scenarios, [ScenarioName::Throughput, ScenarioName::Control]);
    }
}
