use std::process::ExitCode;
pub fn run(_: &crate::cli::Agent) -> anyhow::Result<ExitCode> { anyhow::bail!("x") }
