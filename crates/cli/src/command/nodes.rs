//! `dx nodes`: from arguments to exit code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{NodeState, NodeView};
use dx_scheduler::job::Resources;
use dx_scheduler::processor::{Certainty, Usage};
use serde_json::json;

use super::choose;
use crate::cli::{Nodes, NodesAction};
use crate::console::shown;
use crate::exit;
use crate::jobs::{self, NodePage, Reading, Service, Style, Table, note};

/// Does what was asked.
pub fn run(arguments: &Nodes) -> anyhow::Result<ExitCode> {
    let is_json = arguments.which.json;
    choose::block_on(async {
        let mut service = choose::service(&arguments.which).await?;
        match &arguments.action {
            NodesAction::Ls => {
                let page: NodePage = service.get("/v1/nodes").await?;
                let text = if is_json {
                    format!("{}\n", serde_json::to_string(&page)?)
                } else {
                    table(&page.nodes, jobs::now()).for_stdout()
                };
                io::stdout().write_all(text.as_bytes())?;
            }
            NodesAction::Show { nodes } => {
                let mut texts = Vec::new();
                for name in nodes {
                    let node: NodeView = service.get(&path(name, "")).await?;
                    texts.push(if is_json {
                        format!("{}\n", serde_json::to_string(&node)?)
                    } else {
                        human(&node, jobs::now())
                    });
                }
                let between = if is_json { "" } else { "\n" };
                io::stdout().write_all(texts.join(between).as_bytes())?;
            }
            NodesAction::Drain { nodes, reason } => {
                steer(&mut service, nodes, "/drain", &json!({ "reason": reason }), is_json).await?;
            }
            NodesAction::Undrain { nodes } => {
                steer(&mut service, nodes, "/undrain", &json!({}), is_json).await?;
            }
        }
        Ok(exit::OK)
    })
}

async fn steer(
    service: &mut Service,
    nodes: &[String],
    what: &str,
    body: &serde_json::Value,
    is_json: bool,
) -> anyhow::Result<()> {
    // A mistyped name is found before anything is done.
    for name in nodes {
        let _: NodeView = service.get(&path(name, "")).await?;
    }
    for name in nodes {
        let node: NodeView = service.post(&path(name, what), body).await?;
        if is_json {
            writeln!(io::stdout(), "{}", serde_json::to_string(&node)?)?;
            continue;
        }
        let rest = match node.state {
            NodeState::Draining => format!("; {} still run there", jobs::tasks(node.attempts)),
            _ => String::new(),
        };
        note(&format!("{} is {}{rest}", node.name, word(node.state)));
    }
    Ok(())
}

fn path(name: &str, what: &str) -> String {
    format!("/v1/nodes/{}{what}", jobs::encoded(name))
}

fn word(state: NodeState) -> String {
    jobs::as_word(&state)
}

fn style(state: NodeState) -> Style {
    match state {
        NodeState::Ready => Style::Good,
        NodeState::Unknown => Style::Faint,
        NodeState::Draining | NodeState::Drained => Style::Notable,
        NodeState::Silent | NodeState::Lost | NodeState::Quarantined => Style::Bad,
    }
}

fn table(nodes: &[NodeView], now: u64) -> Table {
    let mut table = Table::new([
        "NODE", "STATE", ">TASKS", ">CPUS", ">MEMORY", ">GPUS", ">CPU%", ">MEM%", "HEARD", "KILL",
        "LABELS", "WHY",
    ]);
    for node in nodes {
        let plain = |text: String| (text, Style::Plain);
        let (cpu, memory) = match jobs::reading(node, now) {
            Reading::Fresh(usage) => (percent(usage.cpu), share(usage.memory)),
            Reading::Stale(..) => ("stale".to_owned(), "stale".to_owned()),
            Reading::None => ("-".to_owned(), "-".to_owned()),
        };
        let (used, all) = (&node.used, &node.capacity);
        table.row([
            plain(node.name.clone()),
            (word(node.state), style(node.state)),
            plain(node.attempts.to_string()),
            plain(format!("{}/{}", used.cpus, all.cpus)),
            plain(format!("{}/{}", jobs::bytes(used.memory.0), jobs::bytes(all.memory.0))),
            plain(format!("{}/{}", used.gpus, all.gpus)),
            plain(cpu),
            plain(memory),
            plain(node.heard.map_or_else(|| "-".to_owned(), |at| jobs::ago(at, now))),
            plain(kill(node).to_owned()),
            plain(labels(node)),
            plain(node.reason.clone().unwrap_or_default()),
        ]);
    }
    table
}

fn kill(node: &NodeView) -> &'static str {
    match node.kill {
        Some(Certainty::Certain) => "certain",
        Some(Certainty::BestEffort) => "best effort",
        None => "-",
    }
}

fn labels(node: &NodeView) -> String {
    let labels: Vec<String> = node.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    if labels.is_empty() { "-".to_owned() } else { labels.join(",") }
}

fn human(node: &NodeView, now: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:12} {}", shown(value.as_bytes()));
    };
    line("node", &format!("{} (id {})", node.name, node.id.0));
    let why = node.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    line("state", &format!("{}{why}", word(node.state)));
    if let Some(until) = node.quarantined_until {
        line("quarantined", &format!("until {}", jobs::timestamp(until)));
    }
    line("labels", &labels(node));
    line("tasks", &node.attempts.to_string());
    line("in use", &format!("{} of {}", resources(&node.used), resources(&node.capacity)));
    let usage = match jobs::reading(node, now) {
        Reading::Fresh(usage) => machine(usage),
        Reading::Stale(usage, age) => {
            format!("{} (stale: {} old)", machine(usage), jobs::lasted(age))
        }
        Reading::None => "not known".to_owned(),
    };
    line("machine", &usage);
    line(
        "kill",
        match node.kill {
            Some(Certainty::Certain) => "certain: each task is in a cgroup of its own",
            Some(Certainty::BestEffort) => {
                "best effort: what hides from its process group may escape"
            }
            None => "not known",
        },
    );
    line(
        "memory",
        match node.memory_enforced {
            Some(true) => "enforced",
            Some(false) => "not enforced",
            None => "not known",
        },
    );
    line("heard", &node.heard.map_or_else(|| "never".to_owned(), |at| jobs::ago(at, now)));
    if node.faults > 0 {
        line("faults", &format!("{} of its own", node.faults));
    }
    text
}

fn resources(it: &Resources) -> String {
    let mut text = format!("{} cpus, {}", it.cpus, jobs::bytes(it.memory.0));
    if it.gpus > 0 {
        let _ = write!(text, ", {} gpus", it.gpus);
    }
    for (name, count) in &it.custom {
        let _ = write!(text, ", {count} {name}");
    }
    text
}

/// How much of a machine is in use, in a line.
fn machine(usage: &Usage) -> String {
    let cores: Vec<String> = usage.cores.iter().map(|core| percent(*core)).collect();
    let mut text = format!(
        "cpu {} ({}), memory {}, swap {}",
        percent(usage.cpu),
        cores.join(" "),
        share(usage.memory),
        share(usage.swap)
    );
    for (index, gpu) in usage.gpus.iter().enumerate() {
        let _ = write!(text, ", gpu{index} {}", percent(*gpu));
    }
    text
}

/// A part of one as a percentage.
pub fn percent(part: f32) -> String {
    format!("{:.0}%", part * 100.0)
}

/// How much of something is in use; `-` if there is none.
pub fn share((used, all): (u64, u64)) -> String {
    if all == 0 { "-".to_owned() } else { percent(used as f32 / all as f32) }
}
