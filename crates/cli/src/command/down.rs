//! `dx down`: from arguments to exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use dx_agents::NodeId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;

use super::choose;
use crate::cli::Down;
use crate::cluster::node::STOPPING;
use crate::control::{About, Client, Unreachable};
use crate::exit::{self, Usage};
use crate::home::{Home, NodeName};

/// A node that was told to stop.
#[derive(Debug, Serialize)]
struct Told {
    node: NodeName,
    id: NodeId,
    pid: u32,
    /// Whether its process has ended.
    stopped: bool,
}

/// How long to wait beyond a node's own limit.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stops the nodes of a cluster that run on this machine, or those that are named.
pub fn run(arguments: &Down) -> anyhow::Result<ExitCode> {
    let told = choose::block_on(stop(arguments))?;
    let are_stopped = told.iter().all(|told| told.stopped);
    if arguments.which.json {
        let mut text = serde_json::to_vec(&told)?;
        text.push(b'\n');
        io::stdout().write_all(&text)?;
    } else {
        for told in &told {
            let how = if told.stopped { "stopped" } else { "still stops" };
            writeln!(io::stdout(), "{} {how} (pid {})", told.node, told.pid)?;
        }
    }
    Ok(if are_stopped { exit::OK } else { exit::FAILED })
}

async fn stop(arguments: &Down) -> anyhow::Result<Vec<Told>> {
    let home = Home::of_this_user()?;
    let cluster = choose::any(&arguments.which, &home).await?.about().cluster.clone();
    let names: Vec<NodeName> = if arguments.nodes.is_empty() {
        let nodes = home.open(&cluster)?.nodes()?;
        nodes.iter().map(|node| node.name().clone()).collect()
    } else {
        arguments.nodes.clone()
    };
    let mut running = Vec::new();
    for name in names {
        match Client::node(&home, &cluster, &name).await {
            Ok(client) => running.push(client),
            Err(error @ Unreachable::UnknownNode { .. }) => {
                return Err(Usage(error.to_string()).into());
            }
            Err(_) if arguments.nodes.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    // All at once: nodes that stop together wait for each other no longer than they must.
    let mut told = Vec::new();
    for client in &running {
        let About { node, id, pid, .. } = client.about().clone();
        let process =
            Pid::from_raw(i32::try_from(pid)?).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        client.post::<(), About>("/v1/stop", &()).await?;
        told.push((process, Told { node, id, pid, stopped: false }));
    }
    let limit = Timespec::try_from(STOPPING + PATIENCE)?;
    Ok(told
        .into_iter()
        .map(|(process, mut told)| {
            told.stopped = match process {
                Some(Ok(fd)) => {
                    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)), Ok(1))
                }
                // It has ended already.
                Some(Err(_)) | None => true,
            };
            told
        })
        .collect())
}
