//! The `dx` command line: it reads arguments, wires the other crates together, prints and exits.
//!
//! Standard output is data; standard error is for people. Exit codes are listed in [`exit`].
//! The one thing in here that other crates' benches share is [`mod@bench`]'s front end.

pub mod bench;
mod cli;
pub mod cluster;
mod command;
pub mod config;
pub mod console;
pub mod control;
pub mod exit;
mod hex;
pub mod home;
pub mod jobs;
pub mod join;
pub mod kinds;
mod program;
pub mod ring;
pub mod simulate;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

pub use program::Program;

/// Runs the program on the process's own arguments.
#[must_use]
pub fn run() -> ExitCode {
    Program::new().run()
}

fn run_program(program: &Program) -> ExitCode {
    // A shell that completes a line asks by a variable, is answered, and that is all.
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    // An unknown argument, a wrong value or `--help` ends here, with clap's text and exit code.
    let cli = Cli::parse();
    start_log();
    match command::run(cli.command, program) {
        Ok(code) => code,
        Err(error) if exit::is_closed_pipe(&error) => exit::OK,
        Err(error) => {
            // If nobody reads standard error, the exit code still tells.
            drop(writeln!(io::stderr(), "dx: {error:#}"));
            exit::of(&error)
        }
    }
}

/// Warnings and worse go to standard error; `DX_LOG` chooses otherwise (`DX_LOG=dx_transport=debug`).
fn start_log() {
    let filter = EnvFilter::try_from_env("DX_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}
