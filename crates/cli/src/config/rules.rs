//! What must hold of a cluster as a whole, wherever it comes from.

use std::collections::BTreeMap;

use dx_agents::{Placement, Restart};
use serde_json::json;

use super::check::check;
use super::cluster::{Cluster, NodeSpec};
use super::file::Role;
use super::kind::Kinds;
use super::place::{KeyPath, Place};
use super::schema::Schema;
use super::tree::Tree;
use super::units::duration;

/// A rule that a cluster breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The key whose value is at fault.
    pub path: KeyPath,
    /// What is wrong.
    pub message: String,
    /// Another key that is part of it.
    pub other: Option<(KeyPath, &'static str)>,
    /// What to do.
    pub help: Option<String>,
}

impl Broken {
    /// A rule that is broken by the value at `path`.
    pub fn new(path: KeyPath, message: impl Into<String>) -> Self {
        Self { path, message: message.into(), other: None, help: None }
    }

    /// Points at another key as well.
    #[must_use]
    pub fn other(mut self, path: KeyPath, label: &'static str) -> Self {
        self.other = Some((path, label));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The rules that `cluster` breaks.
#[must_use]
pub fn broken(cluster: &Cluster) -> Vec<Broken> {
    let mut broken = times(cluster);
    broken.extend(unique(&cluster.nodes, "id", |node| node.id.0.to_string()));
    broken.extend(unique(&cluster.nodes, "address", |node| node.address.to_string()));
    broken.extend(exposed(cluster));
    broken.extend(agents(cluster));
    broken.extend(roles(cluster));
    broken
}

/// The settings that are out of their ranges: what can be wrong in a cluster that no file said.
#[must_use]
pub fn out_of_range(cluster: &Cluster) -> Vec<String> {
    let settings = json!({ "cluster": {
        "transport": cluster.transport,
        "timing": cluster.timing,
        "dialing": cluster.dialing,
        "bounds": cluster.bounds,
    }, "jobs": cluster.jobs });
    let mut tree = Tree::of_json(settings, &Place::of_defaults());
    let found = check(&Schema::new(&Kinds::new()), &mut tree);
    found
        .problems
        .into_iter()
        .map(|problem| format!("{}: {}", problem.message, problem.label))
        .collect()
}

fn times(cluster: &Cluster) -> Vec<Broken> {
    let mut broken = Vec::new();
    let timing = |key| KeyPath::new(["cluster", "timing", key]);
    let (silence, ping) = (cluster.timing.silence, cluster.timing.ping_interval);
    if silence < ping * 2 {
        let (silence, ping) = (duration::text(silence), duration::text(ping));
        let message =
            format!("a `silence` of {silence} is less than two `ping_interval`s of {ping}");
        broken.push(
            Broken::new(timing("silence"), message)
                .other(timing("ping_interval"), "the interval is set here")
                .help("one ping that is late would break the link"),
        );
    }
    let dialing = |key| KeyPath::new(["cluster", "dialing", key]);
    let (least, most) = (cluster.dialing.backoff_min, cluster.dialing.backoff_max);
    if most < least {
        let (least, most) = (duration::text(least), duration::text(most));
        let message =
            format!("a `backoff_max` of {most} is less than the `backoff_min` of {least}");
        broken.push(
            Broken::new(dialing("backoff_max"), message)
                .other(dialing("backoff_min"), "the least is set here"),
        );
    }
    broken
}

fn node_path(node: &NodeSpec, key: &str) -> KeyPath {
    KeyPath::new(["node", node.name.as_str(), key])
}

/// No two nodes may have the same of what `of` takes from them.
fn unique(nodes: &[NodeSpec], key: &str, of: impl Fn(&NodeSpec) -> String) -> Vec<Broken> {
    let mut first: BTreeMap<String, &NodeSpec> = BTreeMap::new();
    let mut broken = Vec::new();
    for node in nodes {
        let value = of(node);
        if let Some(earlier) = first.get(&value) {
            let message = format!(
                "the nodes `{}` and `{}` both have the {key} {value}",
                earlier.name, node.name
            );
            let other = (node_path(earlier, key), "it is taken here");
            broken.push(Broken::new(node_path(node, key), message).other(other.0, other.1));
        } else {
            first.insert(value, node);
        }
    }
    broken
}

/// Plain tcp beyond this machine, where nobody said that it may.
fn exposed(cluster: &Cluster) -> Vec<Broken> {
    if cluster.insecure {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for node in &cluster.nodes {
        for (key, address) in [("address", &node.address), ("listen", &node.listen)] {
            let is_same = key == "listen" && node.listen == node.address;
            if address.is_exposed() && !is_same {
                let message = format!("plain tcp to `{}` leaves this machine", address.endpoint());
                let rule = Broken::new(node_path(node, key), message).help(EXPOSED_HELP);
                let is_inherited = address.transport() == cluster.transport;
                let transport = KeyPath::new(["cluster", "transport"]);
                broken.push(if is_inherited {
                    rule.other(transport, "tcp is chosen here")
                } else {
                    rule
                });
            }
        }
    }
    broken
}

const EXPOSED_HELP: &str = "use tls or quic, or set `insecure = true` in `[cluster]` if everybody on the network may read along";

fn agents(cluster: &Cluster) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut earlier = None;
    for agent in &cluster.agents {
        let id = agent.id.0.to_string();
        let path = |key| KeyPath::new(["agent", &id, key]);
        if earlier == Some(agent.id) {
            broken.push(Broken::new(path("kind"), format!("there are two agents {id}")));
        }
        earlier = Some(agent.id);
        if cluster.node(agent.node).is_none() {
            let message = format!("agent {id} lives on a node that is not there");
            broken.push(Broken::new(path("node"), message));
        }
        if agent.options.mailbox.messages == 0 {
            broken.push(Broken::new(path("mailbox"), "a mailbox must have room for a message"));
        }
        if let Placement::Thread { pin: Some(processor) } = agent.options.placement
            && processor > MAX_PROCESSOR
        {
            broken.push(Broken::new(path("pin"), format!("there is no processor {processor}")));
        }
        if let Restart::OnFailure { max: 0, .. } = agent.options.restart {
            broken.push(Broken::new(path("restart"), "no restart at all is `never`"));
        }
    }
    broken
}

/// One node decides, and nobody runs what nobody decides.
fn roles(cluster: &Cluster) -> Vec<Broken> {
    let mut controllers =
        cluster.nodes.iter().filter(|node| node.roles.contains(&Role::Controller));
    let first = controllers.next();
    let others = controllers.map(|other| {
        let first = first.expect("it comes before the others");
        let message = format!(
            "the nodes `{}` and `{}` are both controllers, and one decides",
            first.name, other.name
        );
        Broken::new(node_path(other, "roles"), message)
            .other(node_path(first, "roles"), "one is here")
    });
    let mut broken: Vec<Broken> = others.collect();
    if let (None, Some(runner)) = (first, cluster.runners().next()) {
        let message =
            format!("node `{}` runs jobs, and no node has the role `controller`", runner.name);
        let help = "give one node the role: `roles = [\"controller\", \"runner\"]`";
        broken.push(Broken::new(node_path(runner, "roles"), message).help(help));
    }
    broken
}

/// The largest number of a processor: more than any machine has.
const MAX_PROCESSOR: usize = 65_535;
