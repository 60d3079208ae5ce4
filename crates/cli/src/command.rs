//! One file per command: from its arguments to its exit code.

mod bench;
mod cert;
mod config;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::bench::laboratory::Laboratory;
use crate::cli::{Cli, Command};
use crate::exit;

/// Runs `command`.
pub fn run(command: Command, laboratory: Option<Laboratory>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Bench(arguments) => bench::run(*arguments, laboratory),
        Command::Cert(arguments) => cert::run(&arguments),
        Command::Config(command) => config::run(command),
        Command::Completions { shell } => completions(shell),
        Command::Man => manual(),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics where a write fails, as on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dx", &mut script);
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
