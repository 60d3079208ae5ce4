//! `dx bench`: from arguments to exit code.

use std::process::ExitCode;

use anyhow::Context;

use crate::bench::course::Outcome;
use crate::bench::laboratory::Laboratory;
use crate::bench::{agents, ring, scheduler, sim, transport};
use crate::cli::{Bench, BenchSubject};
use crate::exit;

/// Runs the bench that was named, or the transport bench.
pub fn run(arguments: Bench, laboratory: Option<Laboratory>) -> anyhow::Result<ExitCode> {
    let subject = arguments.subject.unwrap_or(BenchSubject::Transport(arguments.transport));
    // It only waits: what is measured has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let outcome = match subject {
        BenchSubject::Transport(chosen) => {
            let output = chosen.output.clone();
            let options = transport::Options { laboratory, ..chosen.into() };
            let bench = transport::run(&options, output.json.as_deref(), output.plot.as_deref());
            runtime.block_on(bench)?
        }
        BenchSubject::Agents(chosen) => {
            let output = chosen.output.clone();
            let options = agents::Options::from(chosen);
            let bench = agents::run(&options, output.json.as_deref(), output.plot.as_deref());
            runtime.block_on(bench)?
        }
        BenchSubject::Sim(chosen) => {
            let output = chosen.output.clone();
            let options = sim::Options::from(chosen);
            let bench = sim::run(&options, output.json.as_deref(), output.plot.as_deref());
            runtime.block_on(bench)?
        }
        BenchSubject::Ring(chosen) => {
            let output = chosen.output.clone();
            let options = ring::Options { laboratory, ..chosen.into() };
            let bench = ring::run(&options, output.json.as_deref(), output.plot.as_deref());
            runtime.block_on(bench)?
        }
        BenchSubject::Scheduler(chosen) => {
            let output = chosen.output.clone();
            let options = scheduler::Options::from(chosen);
            let bench = scheduler::run(&options, output.json.as_deref(), output.plot.as_deref());
            runtime.block_on(bench)?
        }
    };
    Ok(match outcome {
        Outcome::Complete => exit::OK,
        Outcome::Failed => exit::FAILED,
        Outcome::Interrupted => exit::interrupted(),
    })
}
