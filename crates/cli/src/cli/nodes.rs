//! The grammar of nodes that run jobs, of queries, and of progress.

use clap::{Args, Subcommand};

use super::{Submit, Which};
use crate::jobs::complete;

/// `dx nodes`.
#[derive(Debug, Args)]
pub struct Nodes {
    /// What to do.
    #[command(subcommand)]
    pub action: NodesAction,
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodesAction {
    /// List them: how they stand, and how much of them is in use.
    Ls,
    /// Show all that is known of nodes.
    Show {
        /// The nodes.
        #[arg(value_name = "NODE", required = true, add = complete::nodes())]
        nodes: Vec<String>,
    },
    /// Let nodes take no more work. What runs there goes on.
    Drain {
        /// The nodes.
        #[arg(value_name = "NODE", required = true, add = complete::nodes())]
        nodes: Vec<String>,
        /// Why, for whoever looks at them.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Use nodes again that were drained or quarantined.
    Undrain {
        /// The nodes.
        #[arg(value_name = "NODE", required = true, add = complete::nodes())]
        nodes: Vec<String>,
    },
}

/// `dx query`.
#[derive(Debug, Args)]
#[command(after_help = QUERY_HELP)]
pub struct Query {
    /// What to ask.
    #[command(subcommand)]
    pub action: QueryAction,
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

const QUERY_HELP: &str = "\
Exit codes: 0 answered, and for `finished` also that all is; 1 for `finished` that something is not;
2 the command line is wrong, 4 not allowed, 69 nobody answers.

Example:
  until dx query finished; do sleep 1; done";

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum QueryAction {
    /// Which nodes do nothing, and which run tasks.
    Executors,
    /// Whether every task has ended: prints `true` or `false`, and the exit code says it, too.
    Finished,
    /// How much of each node is in use; `dead` where that was not heard for 1.5 s.
    ResourceUsage,
    /// All tasks: those that wait, run, and have ended.
    Tasks(Bound),
    /// Tasks that have ended.
    TasksFinished(Bound),
    /// Tasks that wait.
    TasksPending(Bound),
    /// Tasks that run.
    TasksRunning(Bound),
    /// Take a job into the queue, as `dx job submit`.
    Add(Box<Submit>),
}

/// How many tasks are listed.
#[derive(Debug, Args)]
pub struct Bound {
    /// At most so many tasks of each kind, the newest jobs' first.
    #[arg(long, short = 'n', value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `dx progress`.
#[derive(Debug, Args)]
#[command(after_help = PROGRESS_HELP)]
pub struct Progress {
    /// What the task does.
    pub label: String,
    /// The step that it is at.
    pub step: u64,
    /// Of how many, if it is known.
    pub total: Option<u64>,
}

const PROGRESS_HELP: &str = "\
Whoever watches the job sees it: `dx job show`, `dx job wait --progress`. A program can say it
without dx, too, by a line in the file that the variable DX_PROGRESS names:

  printf 'training\\t3\\t10\\n' >> \"$DX_PROGRESS\"";
