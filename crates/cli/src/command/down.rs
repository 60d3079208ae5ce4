use std::process::ExitCode;
pub fn run(_: &crate::cli::Down) -> anyhow::Result<ExitCode> { anyhow::bail!("x") }
