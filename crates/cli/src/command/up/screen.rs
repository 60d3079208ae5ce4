//! What `dx up` shows: one terminal for all nodes, each line tagged with its node.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use serde_json::{Value, json};

use crate::cluster::up::{Event, News, Outcome};
use crate::config::{Cluster, NodeSpec};

/// The terminal, or whatever is in its place. Once nobody reads, nothing is written any more, and
/// the cluster runs on.
pub struct Screen {
    cluster: String,
    nodes: usize,
    agents: usize,
    json: bool,
    colour: bool,
    /// Columns of the longest name.
    width: usize,
    stopping: Option<(Instant, usize)>,
    was_ready: bool,
}

/// Colours that can be told apart on dark and on light ground; nodes take turns.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

impl Screen {
    /// A screen for the nodes of `cluster`.
    pub fn new(cluster: &Cluster, json: bool) -> Self {
        let stdout = io::stdout();
        Self {
            cluster: cluster.name.to_string(),
            nodes: cluster.nodes.len(),
            agents: cluster.agents.len(),
            json,
            colour: stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            width: cluster.nodes.iter().map(|node| node.name.as_str().len()).max().unwrap_or(0),
            stopping: None,
            was_ready: false,
        }
    }

    /// Shows what happened.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Stopping(count) => self.stopping = Some((Instant::now(), *count)),
            Event::Ready { .. } => self.was_ready = true,
            Event::Node(..) => {}
        }
        if self.json {
            return print(&format!("{}\n", self.object(event)));
        }
        match event {
            Event::Node(node, News::Line(line)) => {
                let tag = self.tag(node);
                print(&format!("{tag} {line}\n"));
            }
            Event::Node(node, news) => {
                if let Some(text) = self.words(node.name.as_str(), news) {
                    note(&text);
                }
            }
            Event::Ready { after } => note(&format!(
                "cluster {} is ready: {}, {}, in {:.2} s",
                self.cluster,
                counted(self.nodes, "node"),
                counted(self.agents, "agent"),
                after.as_secs_f64()
            )),
            Event::Stopping(count) => {
                note(&format!("stopping {} (Ctrl-C kills)", counted(*count, "node")));
            }
        }
    }

    /// Shows how it ended.
    pub fn end(&self, outcome: Outcome) {
        if self.json {
            let outcome = match outcome {
                Outcome::Stopped => "stopped",
                Outcome::Detached => "detached",
                Outcome::CannotStart => "cannot_start",
                Outcome::Failed => "failed",
            };
            return print(&format!("{}\n", json!({ "event": "end", "outcome": outcome })));
        }
        match (outcome, self.stopping) {
            (Outcome::Stopped | Outcome::Failed, Some((since, count))) => note(&format!(
                "stopped {} of cluster {} in {:.2} s",
                counted(count, "node"),
                self.cluster,
                since.elapsed().as_secs_f64()
            )),
            (Outcome::Stopped, None) => note(&format!("cluster {} has stopped", self.cluster)),
            (Outcome::Detached, _) => note(&format!(
                "left running: `dx status --cluster {0}` looks at it, `dx down --cluster {0}` stops it",
                self.cluster
            )),
            (Outcome::CannotStart, _) => {
                note(&format!("cluster {} did not start; what had, was stopped", self.cluster));
            }
            (Outcome::Failed, None) => note(&format!("cluster {} has failed", self.cluster)),
        }
    }

    fn words(&self, name: &str, news: &News) -> Option<String> {
        Some(match news {
            News::TakenOver { pid } => format!("{name} runs already (pid {pid}): taken over"),
            News::DiskFull(folder) => {
                format!("{name} failed, and the disk of {} is full: make room", folder.display())
            }
            News::Ready if self.was_ready => format!("{name} is ready again"),
            News::Line(_) | News::Started { .. } | News::Ready => return None,
            News::Ended(how) if how.was_told() && self.stopping.is_some() => return None,
            News::Ended(how) if how.is_lasting() && self.was_ready => {
                format!("{name} {how}: it stays down, since what is wrong must be mended first")
            }
            News::Ended(how) => format!("{name} {how}"),
            News::Restarting { after } => {
                format!("{name} is started again in {:.1} s", after.as_secs_f64())
            }
            News::GaveUp => format!("{name} failed too often: it stays down"),
            News::NotStarted(error) => format!("{name} could not be started: {error}"),
        })
    }

    fn object(&self, event: &Event<'_>) -> Value {
        match event {
            Event::Node(node, news) => {
                let mut object = news_object(news);
                object["node"] = json!(node.name);
                object
            }
            Event::Ready { after } => json!({
                "event": "cluster_ready",
                "cluster": self.cluster,
                "nodes": self.nodes,
                "agents": self.agents,
                "after_ms": after.as_millis() as u64,
            }),
            Event::Stopping(count) => json!({ "event": "stopping", "nodes": count }),
        }
    }

    fn tag(&self, node: &NodeSpec) -> String {
        let (name, width) = (node.name.as_str(), self.width);
        if self.colour {
            let colour = COLOURS[node.id.0 as usize % COLOURS.len()];
            format!("\x1b[{colour}m{name:width$} |\x1b[0m")
        } else {
            format!("{name:width$} |")
        }
    }
}

fn news_object(news: &News) -> Value {
    match news {
        News::Line(line) => json!({ "event": "line", "text": line }),
        News::Started { pid } => json!({ "event": "started", "pid": pid }),
        News::TakenOver { pid } => json!({ "event": "taken_over", "pid": pid }),
        News::DiskFull(folder) => json!({ "event": "disk_full", "folder": folder }),
        News::Ready => json!({ "event": "ready" }),
        News::Ended(how) => json!({ "event": "ended", "how": how.to_string() }),
        News::Restarting { after } => {
            json!({ "event": "restarting", "after_ms": after.as_millis() as u64 })
        }
        News::GaveUp => json!({ "event": "gave_up" }),
        News::NotStarted(error) => json!({ "event": "not_started", "error": error.to_string() }),
    }
}

/// `1 node`, `2 nodes`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn print(text: &str) {
    // Where nobody reads any more, the cluster runs on: it is stopped by a signal, not by a pipe.
    drop(io::stdout().lock().write_all(text.as_bytes()));
}

fn note(text: &str) {
    drop(writeln!(io::stderr(), "dx: {text}"));
}
