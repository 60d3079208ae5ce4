//! `dx sim`: from arguments to exit code.

mod campaign;
mod replay;
mod report;

use std::process::ExitCode;

use crate::cli::Sim;
use crate::program::Program;

/// Simulates, or replays.
pub fn run(command: Sim, program: &Program) -> anyhow::Result<ExitCode> {
    quiet();
    match command {
        Sim::Run(arguments) => campaign::run(&arguments, program),
        Sim::Replay(arguments) => replay::run(&arguments, program),
    }
}

/// Panics of agents are part of the report, and not printed as they happen. Those of dx itself are
/// told in words by whoever waits for them.
fn quiet() {
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0") {
        std::panic::set_hook(Box::new(|_| {}));
    }
}
