//! `dx job tree` and `dx job graph`.

use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{GraphView, Part, Toward};
use dx_scheduler::id::JobId;

use crate::cli::{Graph, Tree};
use crate::exit::{self, Usage};
use crate::jobs::{self, Service, graph, note};

/// Prints what waits for a job and what it called, or what it waits for itself, as a tree.
pub async fn tree(mut service: Service, arguments: &Tree, json: bool) -> anyhow::Result<ExitCode> {
    let job = one(&mut service, &arguments.what).await?;
    let toward = if arguments.up { Toward::Up } else { Toward::Down };
    let found = graph::connected(&mut service, job, toward, arguments.steps).await?;
    warn(&found);
    let text = if json {
        format!("{}\n", serde_json::to_string(&found)?)
    } else {
        graph::tree(&found, job, arguments.up, jobs::is_coloured())
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// Prints all that a job is tied to.
pub async fn graph(
    mut service: Service,
    arguments: &Graph,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let job = one(&mut service, &arguments.what).await?;
    let toward = arguments.toward.unwrap_or_default();
    let found = graph::connected(&mut service, job, toward, arguments.steps).await?;
    warn(&found);
    let text = if arguments.svg {
        graph::svg(&found).map_err(|error| Usage(error.to_string()))?
    } else if json {
        format!("{}\n", serde_json::to_string(&found)?)
    } else {
        graph::dot(&found)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

fn warn(found: &GraphView) {
    if found.is_cut {
        note("there is more than this: ask with fewer `--steps`, or from another job");
    }
}

async fn one(service: &mut Service, what: &Part) -> anyhow::Result<JobId> {
    let selected = jobs::look_up(service, std::slice::from_ref(what)).await?;
    match &selected[..] {
        [one] => Ok(one.job.id),
        _ => Err(Usage(format!("`{what}` names several jobs: name one")).into()),
    }
}
