//! What a job is like, as options.

use std::path::PathBuf;

use clap::Args;
use dx_scheduler::job::{Capture, Constraint, Cpus, OnCallerEnd, Placement, RetryOn, Size, Span};

use crate::jobs::{After, EnvironmentEntry, KeyValue, capture, constraint, cpus, one_word};

/// What a job is like. What is not given is as in the job file, or has its default.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "The job")]
pub struct JobOptions {
    /// For people. Need not be unique.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A variable of the environment, literally; NAME alone takes the value that it has here.
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE")]
    pub environment: Vec<EnvironmentEntry>,
    /// The working directory, which must exist on the node (default: a fresh one of the task).
    /// What is no absolute path is one below the directory that you are in.
    #[arg(long, value_name = "FOLDER")]
    pub cwd: Option<PathBuf>,
    /// A file of the node that the first command reads.
    #[arg(long, value_name = "FILE")]
    pub stdin_file: Option<PathBuf>,
    /// Processors that each task needs (default: 1).
    #[arg(long, value_name = "N", value_parser = cpus)]
    pub cpus: Option<Cpus>,
    /// Memory that each task needs, as `512MiB`.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// GPUs that each task needs.
    #[arg(long, value_name = "N")]
    pub gpus: Option<u32>,
    /// What else each task needs, and how much of it.
    #[arg(long = "resource", value_name = "NAME=N", value_parser = resource)]
    pub resources: Vec<(String, u64)>,
    /// A label by which the job can be found.
    #[arg(long = "label", short = 'l', value_name = "NAME=VALUE")]
    pub labels: Vec<KeyValue>,
    /// What a node must be like: `zone=a`, `zone!=a`, `zone=a,b`, `cores>=8`. Several must all hold.
    #[arg(long = "constraint", short = 'c', value_name = "CONDITION", value_parser = constraint)]
    pub constraints: Vec<Constraint>,
    /// Only this node.
    #[arg(long, value_name = "NODE", add = crate::jobs::complete::nodes())]
    pub node: Option<String>,
    /// How tasks are placed: `spread` over nodes (default), or `pack`ed onto few.
    #[arg(long, value_name = "HOW", value_parser = one_word::<Placement>)]
    pub placement: Option<Placement>,
    /// Higher goes first (default: 0).
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// How long an attempt may run.
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// How long a task may wait for its first attempt.
    #[arg(long, value_name = "TIME")]
    pub queue_timeout: Option<Span>,
    /// When nothing of it may run any more, counted from now.
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Span>,
    /// The most attempts of a task, the first among them (default: 1).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_attempts: Option<u32>,
    /// The wait before the second attempt, which doubles with each further one (default: 1s).
    #[arg(long, value_name = "TIME")]
    pub backoff: Option<Span>,
    /// Which ends are worth another attempt, of exit, signal, timeout, oom and `not_started` (default:
    /// all but the last).
    #[arg(long, value_name = "ENDS", value_delimiter = ',', value_parser = one_word::<RetryOn>)]
    pub retry_on: Vec<RetryOn>,
    /// The tasks of an array, as `0-99` or `1,4,7-9`: each has its index in `DX_TASK_INDEX`.
    #[arg(long, value_name = "INDICES")]
    pub array: Option<String>,
    /// A task for each of these: it finds its own in `DX_ITEM`.
    #[arg(long, value_name = "ITEMS", value_delimiter = ',', conflicts_with_all = ["each_line", "each_json"])]
    pub each: Vec<String>,
    /// A task for each line of a file of this machine that is not empty, `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "each_json")]
    pub each_line: Option<PathBuf>,
    /// A task for each element of the array in a JSON file: a text as it is, anything else as JSON.
    #[arg(long, value_name = "FILE")]
    pub each_json: Option<PathBuf>,
    /// A task for each combination of values of these variables, one of each: `--matrix OS=a,b
    /// --matrix SEED=1,2,3` are six.
    #[arg(long, value_name = "NAME=VALUES")]
    pub matrix: Vec<KeyValue>,
    /// The most tasks of it that run at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_running: Option<u32>,
    /// So many tasks may fail; with one more, those that have not started are aborted.
    #[arg(long, value_name = "N")]
    pub max_fails: Option<u32>,
    /// Run it when these jobs have succeeded: `7`, `last`, `1-5`, `@team=blue`; `7:each` index by index.
    #[arg(long, value_name = "JOBS", value_delimiter = ',', add = crate::jobs::complete::jobs())]
    pub after_ok: Vec<After>,
    /// Run it when something of each of these jobs has failed; else it is skipped.
    #[arg(long, value_name = "JOBS", value_delimiter = ',', add = crate::jobs::complete::jobs())]
    pub after_fail: Vec<After>,
    /// Run it when these jobs have ended, however that was.
    #[arg(long, value_name = "JOBS", value_delimiter = ',', add = crate::jobs::complete::jobs())]
    pub after_any: Vec<After>,
    /// In a task: what becomes of the job when this task has ended and does not run again, `go_on`
    /// (default) or `cancel`.
    #[arg(long, value_name = "WHAT", value_parser = one_word::<OnCallerEnd>)]
    pub on_caller_end: Option<OnCallerEnd>,
    /// Wait for `dx job release` before anything of it runs.
    #[arg(long)]
    pub hold: bool,
    /// What becomes of what tasks print: `split` into standard output and standard error (default),
    /// `merge`, `null`, or the absolute path of a file of the node.
    #[arg(long, value_name = "WHERE", value_parser = capture)]
    pub output: Option<Capture>,
    /// The most that is kept of what an attempt prints (default: 64MiB).
    #[arg(long, value_name = "SIZE")]
    pub max_output: Option<Size>,
    /// How long a task may take to end by itself when it is stopped (default: 10s).
    #[arg(long, value_name = "TIME")]
    pub grace: Option<Span>,
    /// A second submission of the same job with the same id is the same job (default: a new id).
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
    /// Set any key of the job, as in a job file.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

fn resource(text: &str) -> Result<(String, u64), String> {
    let KeyValue { name, value } = text.parse()?;
    let count = value.parse().map_err(|_| format!("`{value}` is no whole number"))?;
    Ok((name, count))
}
