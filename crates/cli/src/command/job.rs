//! `dx job`: from arguments to exit code.

mod act;
mod explain;
mod graph;
mod logs;
mod ls;
mod show;
pub mod submit;
mod wait;

use std::io::{self, Write};
use std::process::ExitCode;

use super::choose;
use crate::cli::{Job, JobAction};
use crate::exit;
use crate::jobs::{self, Service};

/// Does what was asked.
pub fn run(arguments: &Job) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        JobAction::Submit(submit) => submit::run(submit, &arguments.which),
        JobAction::Schema => {
            writeln!(io::stdout(), "{:#}", jobs::schema())?;
            Ok(exit::OK)
        }
        action => choose::block_on(async {
            let service = choose::service(&arguments.which).await?;
            ask(service, action, arguments.which.json).await
        }),
    }
}

async fn ask(service: Service, action: &JobAction, json: bool) -> anyhow::Result<ExitCode> {
    match action {
        JobAction::Submit(_) | JobAction::Schema => unreachable!("they need no service to ask"),
        JobAction::Ls(list) => ls::run(service, list, json).await,
        JobAction::Show(show) => show::run(service, show, json).await,
        JobAction::Logs(logs) => logs::run(service, logs, json).await,
        JobAction::Wait(wait) => wait::run(service, wait, json).await,
        JobAction::Tree(tree) => graph::tree(service, tree, json).await,
        JobAction::Graph(graph) => graph::graph(service, graph, json).await,
        JobAction::Explain(task) => explain::run(service, task, json).await,
        JobAction::Valid(task) => explain::valid(service, task, json).await,
        JobAction::Cancel(cancel) => act::cancel(service, cancel, json).await,
        JobAction::Retry(retry) => act::retry(service, retry, json).await,
        JobAction::Hold(act) => act::hold(service, act, json).await,
        JobAction::Release(act) => act::release(service, act, json).await,
        JobAction::Priority(priority) => act::priority(service, priority, json).await,
        JobAction::Rm(remove) => act::remove(service, remove, json).await,
    }
}
