//! `dx ring`: from arguments to exit code.

mod elsewhere;
mod master;
mod plan;
mod play;
mod slave;

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::cli::{RingAction, RingRun};
use crate::exit::Usage;
use crate::home::{ClusterError, Home};
use crate::program::Program;
use crate::ring::{Folder, FolderError};

use self::play::Play;

/// Runs what was asked for.
pub fn run(action: RingAction, program: &Program) -> anyhow::Result<ExitCode> {
    let home = Home::of_this_user()?;
    let runtime = || Builder::new_current_thread().enable_all().build();
    match action {
        RingAction::Run(arguments) => runtime()?.block_on(run_members(&arguments, &home)),
        RingAction::Master(arguments) => runtime()?.block_on(master::run(&arguments, &home)),
        RingAction::Slave(arguments) => slave::run(&arguments, &home, program),
    }
}

async fn run_members(arguments: &RingRun, home: &Home) -> anyhow::Result<ExitCode> {
    let is_temporary = arguments.cluster.is_none();
    let name = match &arguments.cluster {
        Some(name) => name.clone(),
        None => format!("ring-{}", std::process::id()).parse().expect("it is a word and digits"),
    };
    let folder = Folder::of(home, &name);
    let run = match folder.running().await.map_err(usage)? {
        Some(run) => {
            plan::check_same(arguments, &run)?;
            play::note(&format!("run {name} goes on, with {} members", run.cluster.nodes.len()));
            run
        }
        None => {
            let run = plan::new(arguments, &name)?;
            folder.create(&run).map_err(usage)?;
            run
        }
    };
    let trouble = plan::trouble(arguments, &run)?;
    let play = Play { home, run, trouble, folder, is_temporary, json: arguments.json };
    play.run().await
}

fn usage(error: FolderError) -> anyhow::Error {
    match error {
        FolderError::Other(_) | FolderError::Cluster(ClusterError::Name(_)) => {
            Usage(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// `HOST PORT`, as one.
fn address(host: &str, port: u16) -> Result<SocketAddr, Usage> {
    let wrong = |why: String| Usage(format!("`{}` is no host: {why}", host.escape_debug()));
    let mut found = (host, port).to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("it has no address".to_owned()))
}
