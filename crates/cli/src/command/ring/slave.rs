//! `dx ring slave`: a process that waits to be made a member.

use std::net::TcpListener;
use std::process::ExitCode;

use tokio::runtime::Builder;

use super::address;
use super::play::note;
use crate::cli::Slave as Arguments;
use crate::command::node::{self, Waited};
use crate::command::signals;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::program::Program;
use crate::ring::Folder;
use crate::ring::slaves::{SlaveError, Slaves};

/// Waits for a master, then is the node that it was told to be.
pub fn run(arguments: &Arguments, home: &Home, program: &Program) -> anyhow::Result<ExitCode> {
    let at = address(&arguments.host, arguments.port)?;
    if at.port() == 0 || at.ip().is_unspecified() {
        let why = "others reach it there: name an address and a port";
        return Err(Usage(format!("{at} is no address of a slave: {why}")).into());
    }
    if arguments.listen {
        return elsewhere(&at.to_string(), home, program);
    }
    // Now, and not when a master counts on it.
    TcpListener::bind(at).map_err(|error| Usage(format!("nothing can listen at {at}: {error}")))?;
    let waiting = Slaves::of(home)?.enter(at).map_err(|error| match error {
        SlaveError::Taken { .. } => Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    note(&format!("slave {at} waits for `dx ring master HOST PORT SEND_US GRACE_US SEED`"));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let assignment = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = signals::told_to_stop() => Err(interrupted),
            assignment = waiting.assignment() => Ok(assignment),
        }
    });
    drop((waiting, runtime));
    match assignment {
        Ok(assignment) => {
            let assignment = assignment?;
            node::start(&assignment.cluster, assignment.id, home, program)
        }
        Err(true) => Ok(exit::interrupted()),
        Err(false) => Ok(exit::OK),
    }
}

/// Waits for a master of another machine, which has the token, and is the node that it says.
fn elsewhere(at: &str, home: &Home, program: &Program) -> anyhow::Result<ExitCode> {
    let told = format!("slave {at} waits: give the token to `dx ring master ... --join-file FILE`");
    let (cluster, id) = match node::wait(at, home, &told)? {
        Waited::Joined(cluster, id) => (cluster, id),
        Waited::Stopped { interrupted: true } => return Ok(exit::interrupted()),
        Waited::Stopped { interrupted: false } => return Ok(exit::OK),
    };
    let ended = node::start(&cluster, id, home, program)?;
    // The next run is of a cluster of its own, even if it has the same master.
    Folder::of(home, &cluster.name).remove()?;
    Ok(ended)
}
