//! The grammar of starting, watching and stopping clusters.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};
use dx_transport::id::{ClusterId, NodeId};

use super::{ConfigArgs, node_id};
use crate::home::{InvalidName, NodeName};

/// `dx up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The cluster.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Leave the nodes running in the background as soon as the cluster is ready. `dx up` with the
    /// same files takes them over again.
    #[arg(long, action = ArgAction::SetTrue)]
    pub detach: bool,
    /// Print one JSON object per line: what nodes print, and what happens to them.
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
    /// The file with the token that `dx node --listen` printed on the machine that is to be this
    /// node. Without it, a terminal is asked.
    #[arg(long, value_name = "NODE=FILE", value_parser = join_file)]
    pub join_file: Vec<(NodeName, PathBuf)>,
}

fn join_file(text: &str) -> Result<(NodeName, PathBuf), String> {
    let (node, file) = text.split_once('=').ok_or("write the node's name, `=`, and the file")?;
    let node: NodeName = node.parse().map_err(|error: InvalidName| error.to_string())?;
    Ok((node, file.into()))
}

/// `dx node`.
#[derive(Debug, Args)]
pub struct Node {
    /// The cluster.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which of the cluster's nodes: by its id.
    #[arg(long, visible_alias = "my-id", value_name = "N", value_parser = node_id)]
    pub id: Option<NodeId>,
    /// Which of the cluster's nodes: by its name.
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub name: Option<String>,
    /// Print a token and wait at this address for a cluster that this machine is to be part of.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["files", "id", "name", "set", "transport"])]
    pub listen: Option<String>,
    /// The cluster, as JSON, comes from standard input.
    #[arg(long, hide = true, action = ArgAction::SetTrue, conflicts_with_all = ["files", "listen"])]
    pub from_stdin: bool,
}

/// Which cluster, and how to print.
#[derive(Debug, Args)]
pub struct Which {
    /// The cluster (default: the one that runs here).
    #[arg(long, global = true, value_name = "NAME", env = "DX_CLUSTER")]
    pub cluster: Option<ClusterId>,
    /// Print JSON.
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// `dx status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
    /// Look again every second, until Ctrl-C.
    #[arg(long, action = ArgAction::SetTrue)]
    pub watch: bool,
}

/// `dx down`.
#[derive(Debug, Args)]
pub struct Down {
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<NodeName>,
}

/// `dx agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// What to do.
    #[command(subcommand)]
    pub action: AgentAction,
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub enum AgentAction {
    /// List them: where they live, what waits for them, what they did.
    Ls,
    /// Measure the way to an agent's node and back. The agent itself is not disturbed.
    Ping {
        /// The agent's id.
        id: u64,
        /// How often.
        #[arg(long, short = 'c', value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
    },
}
