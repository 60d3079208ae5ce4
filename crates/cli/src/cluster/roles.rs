//! What nodes are besides their agents of the cluster file: controllers and runners of jobs.

use std::collections::BTreeMap;

use dx_agents::{AgentSpec, MailboxBounds, NodeId, Options, Registry};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::runner::{Runner, RunnerConfig};
use dx_scheduler::{controller_of, runner_of};

use crate::config::Cluster;
use crate::config::file::Role;

/// The kinds of these agents.
const CONTROLLER: &str = "controller";
/// See [`CONTROLLER`].
const RUNNER: &str = "runner";

/// The node that decides what runs where: the first with that role.
#[must_use]
pub fn controller(cluster: &Cluster) -> Option<NodeId> {
    cluster.nodes.iter().find(|node| node.roles.contains(&Role::Controller)).map(|node| node.id)
}

/// Whether jobs can run there.
#[must_use]
pub fn is_runner(cluster: &Cluster, node: NodeId) -> bool {
    let node = cluster.node(node);
    controller(cluster).is_some() && node.is_some_and(|it| it.roles.contains(&Role::Runner))
}

/// The agents that the roles of a cluster's nodes bring with them.
#[must_use]
pub fn agents(cluster: &Cluster) -> Vec<AgentSpec> {
    let Some(controller) = controller(cluster) else { return Vec::new() };
    let spec = |id, kind: &str, node| AgentSpec {
        id,
        kind: kind.to_owned(),
        node,
        attr: serde_json::Value::Null,
        options: Options { mailbox: MAILBOX, ..Options::default() },
    };
    let runners = cluster.nodes.iter().filter(|node| is_runner(cluster, node.id));
    let runners = runners.map(|node| spec(runner_of(node.id), RUNNER, node.id));
    [spec(controller_of(controller), CONTROLLER, controller)].into_iter().chain(runners).collect()
}

/// What may wait for such an agent: reports of a few hundred nodes, or ends of many short tasks.
const MAILBOX: MailboxBounds = MailboxBounds { messages: 16 << 10, ..MailboxBounds::DEFAULT };

/// `kinds`, and those of these agents.
#[must_use]
pub fn kinds(kinds: &Registry, cluster: &Cluster) -> Registry {
    let Some(controller) = controller(cluster) else { return kinds.clone() };
    let config = Config { nodes: nodes(cluster), ..Config::default() };
    kinds
        .clone()
        .kind(CONTROLLER, move |_, _| Ok(Controller::new(config.clone())))
        .kind(RUNNER, move |spec, _| Ok(Runner::new(RunnerConfig::new(spec.node, controller))))
}

fn nodes(cluster: &Cluster) -> BTreeMap<NodeId, NodeConfig> {
    let runners = cluster.nodes.iter().filter(|node| is_runner(cluster, node.id));
    let config = |node: &crate::config::NodeSpec| NodeConfig {
        name: node.name.to_string(),
        labels: node.labels.clone(),
    };
    runners.map(|node| (node.id, config(node))).collect()
}
