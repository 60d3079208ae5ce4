//! What there is to complete: the jobs and nodes of the cluster that runs here.
//!
//! A shell asks while somebody waits at a key, so everything here is quick or gives up, and says
//! nothing.

use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::{JobPage, NodePage, job_word};
use crate::control::Client;
use crate::home::Home;

/// How long somebody waits at a key.
const QUICK: Duration = Duration::from_millis(500);

/// Jobs that are offered: more cannot be read at once.
const MOST: u32 = 50;

/// Completes what selects jobs.
#[must_use]
pub fn jobs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page: Option<JobPage> = ask(&format!("/v1/jobs?limit={MOST}"));
        let jobs = page.map(|page| page.jobs).unwrap_or_default();
        let last = CompletionCandidate::new("last").help(Some("the newest job".into()));
        let numbered = jobs.into_iter().map(|job| {
            let name = job.name.unwrap_or(job.command);
            let help = crate::console::shown(format!("{}: {name}", job_word(job.state)).as_bytes());
            CompletionCandidate::new(job.id.to_string()).help(Some(help.into()))
        });
        std::iter::once(last).chain(numbered).collect()
    })
}

/// Completes the names of nodes.
#[must_use]
pub fn nodes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page: Option<NodePage> = ask("/v1/nodes");
        let nodes = page.map(|page| page.nodes).unwrap_or_default();
        let shown = nodes.into_iter().map(|node| {
            let help = super::outcome::as_word(&node.state);
            CompletionCandidate::new(node.name).help(Some(help.into()))
        });
        shown.collect()
    })
}

/// The answer of any node of `DX_CLUSTER`, or of the cluster that runs here; none if there is none
/// soon.
fn ask<T: serde::de::DeserializeOwned>(path: &str) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let home = Home::of_this_user().ok()?;
        let named = std::env::var("DX_CLUSTER").ok().and_then(|name| name.parse().ok());
        let clusters = match named {
            Some(cluster) => vec![cluster],
            None => home.clusters().ok()?,
        };
        for cluster in clusters {
            if let Ok(client) = Client::any(&home, &cluster).await {
                return client.get(path).await.ok();
            }
        }
        None
    };
    runtime.block_on(async { tokio::time::timeout(QUICK, asked).await.ok().flatten() })
}
