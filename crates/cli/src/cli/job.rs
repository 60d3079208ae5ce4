//! The grammar of jobs.

mod act;
mod options;
mod see;

use clap::{Args, Subcommand};

pub use act::{Act, Cancel, Hold, JobPriority, Remove, Retry};
pub use options::JobOptions;
pub use see::{Graph, List, Logs, OneTask, Show, Tree, Wait};

use super::Which;

/// `dx run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct Run {
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
    /// What the job is like.
    #[command(flatten)]
    pub options: JobOptions,
    /// A job file, in TOML or JSON; `-` is standard input. Options change what it says.
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
    /// Give the job nothing to read, whatever standard input is.
    #[arg(long, short = 'n')]
    pub no_stdin: bool,
    /// Say nothing but what the job prints.
    #[arg(long, short = 'q')]
    pub quiet: bool,
    /// The program and its arguments. No shell reads them: for that, write `sh -c '...'`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

const RUN_HELP: &str = "\
What the job prints appears as it is printed, standard error on standard error. What is piped in is
read to its end, at most 512 KiB of text, and given to the job; larger input belongs into a file of
the node (--stdin-file).

Ctrl-C cancels the job and waits for its end; a second one kills it at once; a third leaves it.

Exit codes: that of the command, or 128 + n if signal n killed it; of an array 0 if all tasks
succeeded, else 1. 2 the command line is wrong, 4 not allowed, 69 nobody answers, 130 Ctrl-C.

Examples:
  dx run -- hostname
  dx run --cpus 2 --memory 1GiB --timeout 5min -- make -j2
  dx run --constraint zone=a --env LANG=C -- sh -c 'sort | uniq -c' < words
  dx run --array 0-9 -- sh -c 'echo $DX_TASK_INDEX'";

/// `dx job`.
#[derive(Debug, Args)]
pub struct Job {
    /// What to do.
    #[command(subcommand)]
    pub action: JobAction,
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum JobAction {
    /// Take a job into the queue, and print its number.
    Submit(Box<Submit>),
    /// List jobs, newest first.
    Ls(List),
    /// Show jobs and their tasks.
    Show(Show),
    /// Print what tasks printed.
    Logs(Logs),
    /// Wait until jobs have ended. The exit code is theirs.
    Wait(Wait),
    /// Show what waits for a job, and what it called, as a tree.
    Tree(Tree),
    /// Print all that a job is tied to, for other tools: as Graphviz, JSON or a picture.
    Graph(Graph),
    /// Tell what happened to a task, and why it does not run if it does not.
    Explain(OneTask),
    /// Tell whether a job is still to run, and if not, why it left the queue.
    Valid(OneTask),
    /// End tasks, with all that they started.
    Cancel(Cancel),
    /// Run tasks again that did not succeed.
    Retry(Retry),
    /// Keep tasks that wait from running.
    Hold(Hold),
    /// Let them run.
    Release(Hold),
    /// Change the priority of jobs.
    Priority(JobPriority),
    /// Remove jobs that have ended, with their logs.
    Rm(Remove),
    /// Print the JSON Schema of job files, for editors.
    Schema,
}

/// `dx job submit`.
#[derive(Debug, Args)]
#[command(after_help = SUBMIT_HELP)]
pub struct Submit {
    /// A job file, in TOML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub file: Option<String>,
    /// What the job is like. Options change what the file says.
    #[command(flatten)]
    pub options: JobOptions,
    /// Check the job, say what would become of it, and submit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until it has ended. The exit code is the job's.
    #[arg(long)]
    pub wait: bool,
    /// Wait, and show on a terminal how far it is.
    #[arg(long)]
    pub progress: bool,
    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

const SUBMIT_HELP: &str = "\
Standard output is the job's number and nothing else: `job=$(dx job submit -- make)`. A file with
several jobs, each a table `[job.NAME]`, may say which of them wait for which (`after_ok`);
then it is a line with the number and the name of each.

Exit codes: 0 submitted; with --wait those of `dx job wait`. 1 refused, 2 the command line or the
file is wrong, 4 not allowed, 69 nobody answers.

Examples:
  dx job submit -- sleep 60
  dx job submit job.toml --set priority=5 --progress
  dx job submit --after-ok last -- ./report.sh
  dx job submit --array 0-99 --max-attempts 3 --name hash -- ./hash.sh";

/// Which jobs and tasks.
pub const WHAT_HELP: &str = "\
Jobs and tasks are written `7`, `7.3` (a task), `7.0-99`, `1-5`, `last`, `@team=blue` (a label).";
