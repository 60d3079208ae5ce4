//! `dx bench`: from arguments to exit code.

use std::process::ExitCode;

use anyhow::Context;

use crate::bench::course::Outcome;
use crate::bench::laboratory::Laboratory;
use crate::bench::transport::{self, Options};
use crate::cli::{Bench, BenchSubject, TransportBench};
use crate::exit;

/// Runs the bench that was named, or the transport bench.
pub fn run(arguments: Bench, laboratory: Option<Laboratory>) -> anyhow::Result<ExitCode> {
    let BenchSubject::Transport(chosen) =
        arguments.subject.unwrap_or(BenchSubject::Transport(arguments.transport));
    transport(chosen, laboratory)
}

fn transport(
    arguments: TransportBench,
    laboratory: Option<Laboratory>,
) -> anyhow::Result<ExitCode> {
    let output = arguments.output.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let options = Options { laboratory, ..arguments.into() };
    let bench = transport::run(&options, output.json.as_deref(), output.plot.as_deref());
    match runtime.block_on(bench)? {
        Outcome::Complete => Ok(exit::OK),
        Outcome::Failed => Ok(exit::FAILED),
        Outcome::Interrupted => Ok(exit::interrupted()),
    }
}
