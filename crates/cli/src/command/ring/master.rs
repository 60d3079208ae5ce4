//! `dx ring master`: it makes members of slaves.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use dx_transport::address::Address;
use dx_transport::id::ClusterId;
use tokio::time::{sleep, timeout};

use super::play::{Play, note};
use super::{address, elsewhere};
use crate::cli::Master as Arguments;
use crate::config::NodeSpec;
use crate::control::Client;
use crate::exit::Usage;
use crate::home::Home;
use crate::kinds::ring_member::Attr;
use crate::ring::slaves::{Assignment, Slaves};
use crate::ring::{Folder, Run, Trouble, Wanted};

/// How long a slave may take to become a node.
const START: Duration = Duration::from_secs(30);

/// The time between two looks whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Makes members of the slaves that wait, or goes on with the run of a master before.
pub async fn run(arguments: &Arguments, home: &Home) -> anyhow::Result<ExitCode> {
    let at = address(&arguments.host, arguments.port)?;
    let name = name(at);
    let folder = Folder::of(home, &name);
    let run = match folder.running().await.map_err(super::usage)? {
        Some(run) => {
            if run.attr() != Some(wanted(arguments)) {
                return Err(Usage(format!(
                    "the run of master {at} goes on, with another plan: give the same arguments, \
                     or stop it with `dx down --cluster {name}`"
                ))
                .into());
            }
            note(&format!("the run of master {at} goes on"));
            run
        }
        None => begin(arguments, at, name, home, &folder).await?,
    };
    let json = arguments.json;
    let trouble = Trouble::default();
    Play { home, run, trouble, folder, is_temporary: true, json }.run().await
}

async fn begin(
    arguments: &Arguments,
    at: SocketAddr,
    name: ClusterId,
    home: &Home,
    folder: &Folder,
) -> anyhow::Result<Run> {
    let slaves = Slaves::of(home)?;
    let waiting = match arguments.slaves {
        Some(count) => slaves.gathered(usize::from(count)).await?,
        None => slaves.waiting()?,
    };
    if waiting.is_empty() {
        let why = "no slave waits on this machine: start some first, as in `dx ring slave 127.0.0.1 10502`, or wait for them with --slaves N";
        return Err(Usage(why.to_owned()).into());
    }
    if waiting.contains(&at) {
        return Err(Usage(format!("a slave waits at {at}: give the master another port")).into());
    }
    let tokens = elsewhere::tokens(&arguments.join_file, &arguments.transport, &waiting)?;
    let transport = arguments.transport.clone();
    let address = |at: String| Address::new(&transport, &at);
    let locals = waiting.iter().map(SocketAddr::to_string);
    let all = locals.chain(tokens.iter().map(|token| token.address.clone()));
    let addresses = all.map(address).collect::<Result<_, _>>()?;
    let restarts = !arguments.no_restart;
    let attr = wanted(arguments);
    let wanted = Wanted { name, transport: transport.clone(), attr, restarts };
    let cluster = wanted.cluster(addresses);
    let (here, there) = cluster.nodes.split_at(waiting.len());
    let elsewhere = there.iter().map(|node| node.name.clone()).collect();
    let run = Run { cluster: cluster.clone(), restarts, elsewhere };
    folder.create(&run).map_err(super::usage)?;
    // First, since it can fail; those of this machine wait on.
    elsewhere::enrol(&tokens, there, &cluster, home).await?;
    for (at, node) in waiting.iter().zip(here) {
        slaves.assign(*at, &Assignment { cluster: cluster.clone(), id: node.id })?;
    }
    timeout(START, all_up(&cluster.name, here, home)).await.map_err(|_| {
        anyhow::anyhow!(
            "not all slaves became members within {} s: see what they say",
            START.as_secs()
        )
    })?;
    Ok(run)
}

/// Waits until all nodes of this machine answer.
async fn all_up(cluster: &ClusterId, nodes: &[NodeSpec], home: &Home) {
    for node in nodes {
        while Client::node(home, cluster, &node.name).await.is_err() {
            sleep(LOOK).await;
        }
    }
}

fn wanted(arguments: &Arguments) -> Attr {
    Attr {
        model: arguments.model,
        seed: arguments.seed,
        send_for: Duration::from_micros(arguments.send_us),
        grace_for: Duration::from_micros(arguments.grace_us),
        ..Attr::default()
    }
}

/// The run of the master there: a name of a cluster has no colons.
fn name(at: SocketAddr) -> ClusterId {
    let name = format!("ring-{at}").replace([':', '[', ']', '%'], "-");
    name.parse().expect("an address is short, and of digits and points")
}
