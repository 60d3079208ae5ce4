//! One file per command: from its arguments to its exit code.

mod agent;
mod bench;
mod cert;
mod choose;
mod config;
mod down;
mod job;
mod node;
mod nodes;
mod progress;
mod query;
mod ring;
mod run;
mod shim;
pub(crate) mod signals;
mod sim;
mod status;
mod token;
mod up;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::exit;
use crate::program::Program;

/// Runs `command`.
pub fn run(command: Command, program: &Program) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(arguments) => up::run(&arguments, program),
        Command::Down(arguments) => down::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Node(arguments) => node::run(arguments, program),
        Command::Run(arguments) => run::run(&arguments),
        Command::Job(arguments) => job::run(&arguments),
        Command::Nodes(arguments) => nodes::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Progress(arguments) => progress::run(&arguments),
        Command::Shim(arguments) => shim::run(arguments),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Sim(command) => sim::run(command, program),
        Command::Ring(arguments) => ring::run(arguments.action, program),
        Command::Bench(arguments) => bench::run(*arguments, program.laboratory),
        Command::Cert(arguments) => cert::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Config(command) => config::run(command, program.kinds()),
        Command::Completions { shell } => completions(shell),
        Command::Man => manual(),
    }
}

/// The script that makes a shell ask this program for what can be completed: what there is of jobs
/// and nodes, too.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let shells = clap_complete::env::Shells::builtins();
    let writer =
        shells.completer(&shell.to_string()).expect("each shell of the one is of the other");
    writer.write_registration("COMPLETE", "dx", "dx", "dx", &mut script)?;
    print(&script)
}

fn manual() -> anyhow::Result<ExitCode> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    io::stdout().lock().write_all(text)?;
    Ok(exit::OK)
}
