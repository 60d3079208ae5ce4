//! `dx node`: from arguments to exit code.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use dx_agents::NodeId;
use dx_agents::mesh::StopReport;
use tokio::runtime::Builder;

use super::config::read;
use super::signals::{self, told_to_stop};
use crate::cli::Node as Arguments;
use crate::cluster::{Ended, Node};
use crate::config::Cluster;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::join::{Bounds, Invitation, InviteError};
use crate::program::Program;

/// Runs a node until it is told to stop.
pub fn run(arguments: Arguments, program: &Program) -> anyhow::Result<ExitCode> {
    let home = Home::of_this_user()?;
    if let Some(listen) = &arguments.listen {
        let told = "waiting to be told which node to be: give the token to `dx up`";
        return match wait(listen, &home, told)? {
            Waited::Joined(cluster, id) => start(&cluster, id, &home, program),
            Waited::Stopped { interrupted } => {
                note("stopped before it was told which node to be");
                Ok(if interrupted { exit::interrupted() } else { exit::FAILED })
            }
        };
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
    if cluster.nodes.is_empty() {
        return Err(Usage(format!("cluster {} has no nodes", cluster.name)));
    }
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

/// How the wait of a machine that is to be a node ended.
pub(super) enum Waited {
    /// It was told which one to be.
    Joined(Box<Cluster>, NodeId),
    /// It was told to stop.
    Stopped { interrupted: bool },
}

/// Prints a token, and waits until somebody who has it makes this machine a node.
pub(super) fn wait(listen: &str, home: &Home, what: &str) -> anyhow::Result<Waited> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let invitation = Invitation::open(listen, None, home, Bounds::default()).await;
        let invitation = invitation.map_err(|error| match error {
            InviteError::Listen { .. } | InviteError::Unspecified(_) => {
                Usage(error.to_string()).into()
            }
            error => anyhow::Error::from(error),
        })?;
        let told = async {
            writeln!(io::stdout(), "{}", invitation.token())?;
            note(what);
            anyhow::Ok(invitation.wait().await?)
        };
        let joined = tokio::select! {
            // Listened for before anybody has seen that it waits.
            biased;
            interrupted = told_to_stop() => return Ok(Waited::Stopped { interrupted }),
            joined = told => joined?,
        };
        let cluster: Cluster = serde_json::from_value(joined.configuration)?;
        note(&format!("joined cluster {} as node {}", cluster.name, joined.node.name()));
        Ok(Waited::Joined(Box::new(cluster), joined.id))
    })
}

/// Runs node `id` of `cluster` in this process until it is told to stop.
pub(super) fn start(
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
    let interrupted = Cell::new(false);
    let until = async {
        let told = told_to_stop();
        // From here on it can be stopped in good order.
        note(&format!("node {} of cluster {} listens at {listen}", about.node, about.cluster));
        interrupted.set(told.await);
    };
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
            for left in left_undone(&report, cluster) {
                note(&left);
            }
            note(&format!("node {} stopped", about.node));
            Ok(if interrupted.get() { exit::interrupted() } else { exit::OK })
        }
    }
}

/// What a node that stopped could not do in time, and so what its stop took that long for.
fn left_undone(report: &StopReport, cluster: &Cluster) -> Vec<String> {
    let name = |id| cluster.node(id).map_or_else(|| id.to_string(), |node| node.name.to_string());
    let late = report.late.iter().map(|agent| format!("agent {} did not stop in time", agent.0));
    let unsent = report.unsent.iter().map(|(node, messages)| {
        format!(
            "messages that were not sent to {}, which had no room for them: {messages}",
            name(*node)
        )
    });
    let unfinished = report.drain.unfinished.iter().map(|left| {
        let why =
            if left.is_down { "cannot be reached" } else { "did not take everything in time" };
        let (peer, unsent, unacked) = (name(left.peer), left.queued_messages, left.unacked_bytes);
        format!("{peer} {why}: messages not sent: {unsent}, bytes not acknowledged: {unacked}")
    });
    late.chain(unsent).chain(unfinished).collect()
}

fn note(text: &str) {
    // If nobody listens, the exit code still tells.
    drop(writeln!(io::stderr(), "dx: {text}"));
}

#[cfg(test)]
mod tests {
    use dx_agents::AgentId;
    use dx_transport::mesh::{DrainReport, Unfinished};

    use super::*;
    use crate::config::{self, Layer, Source};
    use crate::kinds;

    #[test]
    fn whatever_a_stop_waited_for_in_vain_is_told_with_the_node_by_name() {
        let file = "[node.far]\nid = 2\naddress = \"127.0.0.1:7001\"\n";
        let source = Source::new(Layer::File, "c.toml", file);
        let loaded = config::load(vec![source], &kinds::kinds()).expect("nothing is wrong with it");
        let slow =
            Unfinished { peer: NodeId(2), is_down: false, queued_messages: 3, unacked_bytes: 40 };
        let gone = Unfinished { is_down: true, unacked_bytes: 0, ..slow };
        let report = StopReport {
            late: vec![AgentId(7)],
            unsent: vec![(NodeId(2), 5)],
            drain: DrainReport { drained: Vec::new(), unfinished: vec![slow, gone] },
        };
        let told = [
            "agent 7 did not stop in time",
            "messages that were not sent to far, which had no room for them: 5",
            "far did not take everything in time: messages not sent: 3, bytes not acknowledged: 40",
            "far cannot be reached: messages not sent: 3, bytes not acknowledged: 0",
        ];
        assert_eq!(left_undone(&report, &loaded.cluster), told);
    }
}
