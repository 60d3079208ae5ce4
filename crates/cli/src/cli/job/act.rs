//! The grammar of steering jobs.

use clap::Args;
use dx_scheduler::client::Part;
use dx_scheduler::end::TaskState;

use crate::jobs::{complete, one_word};

use super::WHAT_HELP;

/// Which jobs and tasks something is done to.
#[derive(Debug, Args)]
#[command(after_help = WHAT_HELP)]
pub struct Act {
    /// Which jobs or tasks.
    #[arg(value_name = "WHAT", required = true, add = complete::jobs())]
    pub what: Vec<Part>,
    /// Do not ask before something is done to several jobs. Without a terminal, nothing is asked.
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `dx job hold` and `dx job release`.
#[derive(Debug, Args)]
pub struct Hold {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// Of these, only tasks in these states, as `queued,backoff`.
    #[arg(long, short = 's', value_name = "STATES", value_delimiter = ',', value_parser = one_word::<TaskState>)]
    pub state: Vec<TaskState>,
}

/// `dx job cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// Of these, only tasks in these states, as `queued,backoff`.
    #[arg(long, short = 's', value_name = "STATES", value_delimiter = ',', value_parser = one_word::<TaskState>)]
    pub state: Vec<TaskState>,
    /// Kill at once, without asking the processes to end.
    #[arg(long)]
    pub now: bool,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `dx job retry`.
#[derive(Debug, Args)]
pub struct Retry {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// Of these, only tasks in these states, as `queued,backoff`.
    #[arg(long, short = 's', value_name = "STATES", value_delimiter = ',', value_parser = one_word::<TaskState>)]
    pub state: Vec<TaskState>,
    /// Those that did not succeed. This is the default.
    #[arg(long, conflicts_with = "all")]
    pub failed: bool,
    /// All that have ended, also those that succeeded.
    #[arg(long, short = 'a')]
    pub all: bool,
}

/// `dx job priority`.
#[derive(Debug, Args)]
pub struct JobPriority {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// The priority: higher goes first.
    #[arg(long = "to", value_name = "N", allow_negative_numbers = true)]
    pub priority: i32,
}

/// `dx job rm`.
#[derive(Debug, Args)]
pub struct Remove {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// Also jobs that have not ended: they are cancelled first.
    #[arg(long)]
    pub force: bool,
}
