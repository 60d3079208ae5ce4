//! `dx agent`: from arguments to exit code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::interval;

use super::{choose, signals};
use crate::cli::{Agent, AgentAction};
use crate::cluster::{AgentPing, ClusterReport};
use crate::console::called;
use crate::control::Client;
use crate::exit;
use crate::home::Home;

/// The time between two pings.
const PACE: Duration = Duration::from_millis(200);

/// Does what was asked.
pub fn run(arguments: &Agent) -> anyhow::Result<ExitCode> {
    choose::block_on(async {
        let client = choose::any(&arguments.which, &Home::of_this_user()?).await?;
        match arguments.action {
            AgentAction::Ls => list(&client, arguments.which.json).await,
            AgentAction::Ping { id, count } => ping(&client, id, count, arguments.which.json).await,
        }
    })
}

/// Lists the agents of all nodes that answer. Exit code 1 if one does not.
async fn list(client: &Client, is_json: bool) -> anyhow::Result<ExitCode> {
    let report: ClusterReport = client.get("/v1/status").await?;
    let mut text = String::new();
    if !is_json {
        text.push_str("   AGENT KIND         NODE              STEPS  WAITING\n");
    }
    let mut objects = Vec::new();
    for node in &report.nodes {
        for agent in &node.status.agents.agents {
            let name = node.about.node.as_str();
            writeln!(
                text,
                "{:>8} {:12} {name:12} {:>10} {:>8}",
                called(agent.id),
                agent.kind,
                agent.steps,
                agent.waiting
            )?;
            let mut object = json!(agent);
            object["node"] = json!(name);
            objects.push(object);
        }
    }
    if is_json {
        text = format!("{}\n", json!({ "agents": objects, "silent": report.silent }));
    }
    io::stdout().write_all(text.as_bytes())?;
    for silent in &report.silent {
        note(&format!("node {} does not answer: {}", silent.node, silent.reason));
    }
    Ok(if report.silent.is_empty() { exit::OK } else { exit::FAILED })
}

async fn ping(client: &Client, id: u64, count: u32, is_json: bool) -> anyhow::Result<ExitCode> {
    let mut clock = interval(PACE);
    for _ in 0..count {
        tokio::select! {
            _ = clock.tick() => {}
            () = signals::interrupted() => return Ok(exit::interrupted()),
        }
        let ping: AgentPing = client.get(&format!("/v1/agents/{id}/ping")).await?;
        let line = if is_json {
            serde_json::to_string(&ping)?
        } else {
            let way = if ping.node == ping.from {
                format!("on {}, which was asked", ping.node)
            } else {
                format!("on {}, from {}", ping.node, ping.from)
            };
            format!(
                "agent {} ({}) {way}: {:.3} ms, {} waiting",
                called(ping.agent),
                ping.kind,
                ping.rtt_us as f64 / 1000.0,
                ping.waiting
            )
        };
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(exit::OK)
}

fn note(text: &str) {
    // If nobody listens, the exit code still tells.
    drop(writeln!(io::stderr(), "dx: {text}"));
}
