//! `dx node`: from arguments to exit code.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use anyhow::bail;
use dx_agents::NodeId;
use tokio::runtime::Builder;

use super::config::read;
use super::signals::{self, told_to_stop};
use crate::cli::Node as Arguments;
use crate::cluster::{Ended, Node};
use crate::config::Cluster;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::join::{Bounds, Invitation};
use crate::program::Program;

/// Runs a node until it is told to stop.
pub fn run(arguments: Arguments, program: &Program) -> anyhow::Result<ExitCode> {
    let home = Home::of_this_user()?;
    if let Some(listen) = &arguments.listen {
        let (cluster, id) = wait(listen, &home)?;
        return start(&cluster, id, &home, program);
    }
    let (id, name) = (arguments.id, arguments.name.clone());
    let cluster = if arguments.from_stdin {
        received()?
    } else if arguments.config.files.is_empty() {
        let example = "`dx node configs/local.toml --id 1`";
        return Err(Usage(format!(
            "of which cluster? Name its file, as in {example}, or wait for one with `--listen`"
        ))
        .into());
    } else {
        match read(arguments.config, program.kinds()) {
            Ok(loaded) => loaded.cluster,
            Err(failure) => return Ok(failure.tell()),
        }
    };
    let id = choose(&cluster, id, name.as_deref())?;
    start(&cluster, id, &home, program)
}

/// The node that is meant.
fn choose(cluster: &Cluster, id: Option<NodeId>, name: Option<&str>) -> Result<NodeId, Usage> {
    let known = || {
        let nodes = cluster.nodes.iter().map(|node| format!("{} ({})", node.id.0, node.name));
        nodes.collect::<Vec<_>>().join(", ")
    };
    let found = match (id, name) {
        (Some(id), _) => cluster.node(id).map(|node| node.id).ok_or_else(|| {
            format!("cluster {} has no node of id {}: it has {}", cluster.name, id.0, known())
        }),
        (None, Some(name)) => cluster.node_called(name).map(|node| node.id).ok_or_else(|| {
            let name = name.escape_debug();
            format!("cluster {} has no node `{name}`: it has {}", cluster.name, known())
        }),
        (None, None) => Err(format!("which node? Add `--id N`: there are {}", known())),
    };
    found.map_err(Usage)
}

/// The cluster from standard input, which whoever started this process has checked.
fn received() -> anyhow::Result<Cluster> {
    let mut text = String::new();
    io::stdin().lock().take(crate::config::gather::MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).map_err(|error| Usage(format!("standard input: {error}")))?)
}

/// Prints a token, and waits until somebody who has it makes this machine a node.
fn wait(listen: &str, home: &Home) -> anyhow::Result<(Cluster, NodeId)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let invitation = Invitation::open(listen, None, home, Bounds::default()).await?;
        writeln!(io::stdout(), "{}", invitation.token())?;
        note("waiting to be told which node to be: give the token to `dx up`");
        let joined = tokio::select! {
            joined = invitation.wait() => joined?,
            _ = told_to_stop() => bail!("stopped before it was told which node to be"),
        };
        let cluster: Cluster = serde_json::from_value(joined.configuration)?;
        note(&format!("joined cluster {} as node {}", cluster.name, joined.node.name()));
        Ok((cluster, joined.id))
    })
}

fn start(
    cluster: &Cluster,
    id: NodeId,
    home: &Home,
    program: &Program,
) -> anyhow::Result<ExitCode> {
    let node = match Node::start(cluster, id, home, program.registry()) {
        Err(error) if error.is_lasting() => return Err(Usage(error.to_string()).into()),
        node => node?,
    };
    let about = node.about().clone();
    let listen = cluster.node(id).map(|node| node.listen.to_string()).unwrap_or_default();
    note(&format!("node {} of cluster {} listens at {listen}", about.node, about.cluster));
    let interrupted = Cell::new(false);
    let until = async { interrupted.set(told_to_stop().await) };
    let ended = node.run(until, signals::interrupted());
    match ended {
        Ended::Killed => {
            note(&format!("node {} ended at once", about.node));
            Ok(exit::interrupted())
        }
        Ended::Failed(why) => {
            note(&format!("node {} stopped, since it cannot go on: {why}", about.node));
            Ok(exit::FAILED)
        }
        Ended::Stopped(report) => {
            for agent in &report.late {
                note(&format!("agent {} did not stop in time", agent.0));
            }
            for (node, messages) in &report.unsent {
                note(&format!("{messages} messages to node {} were not sent", node.0));
            }
            note(&format!("node {} stopped", about.node));
            Ok(if interrupted.get() { exit::interrupted() } else { exit::OK })
        }
    }
}

fn note(text: &str) {
    // If nobody listens, the exit code still tells.
    drop(writeln!(io::stderr(), "dx: {text}"));
}
