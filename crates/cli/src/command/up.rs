use std::process::ExitCode;
pub fn run(_: crate::cli::Up, _: &crate::program::Program) -> anyhow::Result<ExitCode> { anyhow::bail!("x") }
