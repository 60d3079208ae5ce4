//! `dx up`: from arguments to exit code.

mod join;
pub(super) mod screen;

use std::process::ExitCode;

use tokio::runtime::Builder;

use self::screen::Screen;
use super::config::read;
use super::signals;
use crate::cli::Up as Arguments;
use crate::cluster::up::{Outcome, Up, UpError};
use crate::config::Cluster;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::program::Program;

/// Starts a cluster's nodes on this machine, and watches over them until Ctrl-C.
pub fn run(arguments: &Arguments, program: &Program) -> anyhow::Result<ExitCode> {
    if arguments.config.files.is_empty() {
        let example = "`dx up configs/local.toml`";
        return Err(Usage(format!("which cluster? Name its file, as in {example}")).into());
    }
    let cluster = match read(arguments.config.clone(), program.kinds()) {
        Ok(loaded) => loaded.cluster,
        Err(failure) => return Ok(failure.tell()),
    };
    let home = Home::of_this_user()?;
    Builder::new_current_thread().enable_all().build()?.block_on(up(arguments, cluster, &home))
}

async fn up(arguments: &Arguments, cluster: Cluster, home: &Home) -> anyhow::Result<ExitCode> {
    let elsewhere: Vec<_> = arguments.join_file.iter().map(|(node, _)| node.clone()).collect();
    let prepared = Up::prepare(cluster.clone(), home, &elsewhere).await;
    let up = prepared.map_err(|error| match error {
        UpError::Running { .. }
        | UpError::Differs { .. }
        | UpError::Empty(_)
        | UpError::NoneHere(_) => Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    join::enrol(&up, &arguments.join_file).await?;
    let mut screen = Screen::new(&cluster, arguments.json);
    let mut was_interrupted = false;
    let until = async { was_interrupted = signals::told_to_stop().await };
    let outcome = up
        .run(arguments.detach, until, signals::interrupted(), |event| screen.show(&event))
        .await?;
    screen.end(outcome);
    Ok(match outcome {
        Outcome::CannotStart => exit::usage(),
        Outcome::Failed => exit::FAILED,
        Outcome::Stopped if was_interrupted => exit::interrupted(),
        Outcome::Stopped | Outcome::Detached => exit::OK,
    })
}
