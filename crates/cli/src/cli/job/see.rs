//! The grammar of looking at jobs.

use clap::Args;
use dx_scheduler::client::{JobState, Part, Toward};
use dx_scheduler::end::TaskState;
use dx_scheduler::job::Span;
use dx_scheduler::processor::Stream;

use crate::jobs::{complete, one_word};

use super::WHAT_HELP;

/// `dx job ls`.
#[derive(Debug, Args)]
#[command(after_help = WHAT_HELP)]
pub struct List {
    /// Only these jobs.
    #[arg(value_name = "WHAT", add = complete::jobs())]
    pub what: Vec<Part>,
    /// Only jobs in these states: waiting, held, running, succeeded, failed, cancelled.
    #[arg(long, short = 's', value_name = "STATES", value_delimiter = ',', value_parser = one_word::<JobState>)]
    pub state: Vec<JobState>,
    /// Only jobs with this label, as `team=blue` or `team`.
    #[arg(long = "label", short = 'l', value_name = "LABEL")]
    pub labels: Vec<String>,
    /// Only jobs of this name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// All there are.
    #[arg(long, short = 'a', conflicts_with = "limit")]
    pub all: bool,
}

/// `dx job show`.
#[derive(Debug, Args)]
#[command(after_help = WHAT_HELP)]
pub struct Show {
    /// Which jobs or tasks.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Vec<Part>,
    /// Only tasks in these states, as `failed,lost`.
    #[arg(long, short = 's', value_name = "STATES", value_delimiter = ',', value_parser = one_word::<TaskState>)]
    pub state: Vec<TaskState>,
    /// All tasks, however many.
    #[arg(long, short = 'a')]
    pub all: bool,
    /// Print the job's specification instead: a job file that makes the same job again.
    #[arg(long)]
    pub spec: bool,
}

/// `dx job logs`.
#[derive(Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub struct Logs {
    /// Which jobs or tasks.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Vec<Part>,
    /// Go on until the tasks have ended, also across attempts.
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// The attempt with this number (default: the last; with --follow, the last and all that come).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["all", "follow"])]
    pub attempt: Option<u32>,
    /// All attempts that are remembered, one after the other.
    #[arg(long, short = 'a')]
    pub all: bool,
    /// Only what was printed onto this stream: stdout or stderr.
    #[arg(long, value_name = "STREAM", value_parser = one_word::<Stream>)]
    pub stream: Option<Stream>,
    /// Only the last so many lines of each.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Begin each line with the time at which it was printed, in UTC.
    #[arg(long, short = 't')]
    pub timestamps: bool,
}

const LOGS_HELP: &str = "\
What went to standard error is printed on standard error. Of several tasks, each line begins with
the task that it is of. With --json, each piece is an object on a line.

Jobs and tasks are written `7`, `7.3` (a task), `7.0-99`, `1-5`, `last`, `@team=blue` (a label).";

/// `dx job tree`.
#[derive(Debug, Args)]
pub struct Tree {
    /// Which job.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Part,
    /// What it waits for and who called it, instead of what waits for it and what it called.
    #[arg(long)]
    pub up: bool,
    /// At most so many steps away.
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
}

/// `dx job graph`.
#[derive(Debug, Args)]
pub struct Graph {
    /// Which job.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Part,
    /// In the language of Graphviz (default): `dx job graph --dot | dot -Tpdf`.
    #[arg(long, conflicts_with = "svg")]
    pub dot: bool,
    /// As a picture.
    #[arg(long)]
    pub svg: bool,
    /// Only `up`, what it waits for and who called it; only `down`, what waits for it and what it
    /// called; or `both` (default), whatever is connected with it.
    #[arg(long, value_name = "WHERE", value_parser = one_word::<Toward>)]
    pub toward: Option<Toward>,
    /// At most so many steps away.
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
}

/// `dx job wait`.
#[derive(Debug, Args)]
#[command(after_help = WAIT_HELP)]
pub struct Wait {
    /// Which jobs.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Vec<Part>,
    /// Give up after this time. The jobs go on.
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// Show on a terminal how far they are.
    #[arg(long)]
    pub progress: bool,
    /// Exit with 0 also if they failed.
    #[arg(long)]
    pub always_zero: bool,
}

const WAIT_HELP: &str = "\
Exit codes: of one job with one task that task's, or 128 + n if signal n killed it; of several tasks
0 if all succeeded, else 1. 2 the command line is wrong, 3 there is no such job, 4 not allowed,
69 nobody answers, 124 --timeout passed, 130 Ctrl-C (the jobs go on).

Jobs are written `7`, `1-5`, `last`, `@team=blue` (a label).";

/// One job or task.
#[derive(Debug, Args)]
#[command(after_help = WHAT_HELP)]
pub struct OneTask {
    /// Which job or task.
    #[arg(value_name = "WHAT", default_value = "last", add = complete::jobs())]
    pub what: Part,
}
