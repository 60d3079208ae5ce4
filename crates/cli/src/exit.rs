//! Exit codes, the same for every command.

use std::io;
use std::process::ExitCode;

use crate::jobs::AskError;

/// The command did what it was asked. Also when the reader of its output has gone: it was done.
pub const OK: ExitCode = ExitCode::SUCCESS;

/// It did not; the reason is on standard error.
pub const FAILED: ExitCode = ExitCode::FAILURE;

/// It could not begin: the command line or the configuration is wrong. Standard error says where,
/// and what would be right. (For the command line, clap returns it.)
#[must_use]
pub fn usage() -> ExitCode {
    ExitCode::from(2)
}

/// Ctrl-C ended it early: 128 + SIGINT. What was printed until then is valid.
#[must_use]
pub fn interrupted() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}

/// The number behind [`interrupted`].
pub const INTERRUPTED: u8 = 130;

/// What was named is not there: a job, a task or a node. Commands about jobs only.
pub const NOT_FOUND: u8 = 3;

/// Whoever asks may not. Commands about jobs only.
pub const DENIED: u8 = 4;

/// Nobody who could do it answers: no node, or no controller. Commands about jobs only.
pub const UNREACHABLE: u8 = 69;

/// What was waited for did not happen within `--timeout`. The job goes on. Commands about jobs
/// only.
pub const TIMED_OUT: u8 = 124;

/// The exit code of a command that ended with `error`.
#[must_use]
pub fn of(error: &anyhow::Error) -> ExitCode {
    let of_jobs = error.chain().find_map(|cause| cause.downcast_ref::<AskError>());
    if error.chain().any(<dyn std::error::Error + 'static>::is::<Usage>) {
        usage()
    } else {
        of_jobs.map_or(FAILED, |error| ExitCode::from(error.exit_code()))
    }
}

/// The command could not begin, since something is wrong with what it was told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Whether `error` only says that nobody reads our output any more (`dx bench | head`).
#[must_use]
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
