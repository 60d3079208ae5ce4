//! `dx shim`: the process that holds the child processes of a node's jobs.

use std::process::ExitCode;

use dx_agents::NodeId;
use dx_scheduler::shim::{Config, main_with};

use crate::cli::Shim;
use crate::exit;

/// Runs it, until it is told to stop.
pub fn run(arguments: Shim) -> anyhow::Result<ExitCode> {
    let Shim { folder, node } = arguments;
    main_with(&Config { folder, node: NodeId(node), cgroups: true })?;
    Ok(exit::OK)
}
