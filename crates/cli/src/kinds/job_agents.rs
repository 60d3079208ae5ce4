//! The agents that serve jobs: the controller and the runners. They come from the roles of nodes,
//! and no cluster file names them.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentSpec, MailboxBounds, NodeId, Options, Placement, Registry, Restart};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::runner::{Offer, Runner, RunnerConfig};
use dx_scheduler::{controller_of, runner_of};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::{Cluster, NodeSpec};

/// The kind of the agent that says what jobs run where.
pub const CONTROLLER: &str = "controller";

/// The kind of the agent that takes work for its node.
pub const RUNNER: &str = "runner";

/// What a controller is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Controlling {
    runners: Vec<Runs>,
    lease_ms: u64,
    kept: usize,
    tasks: u64,
}

/// A node that runs jobs, as its controller knows it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    id: NodeId,
    name: String,
    labels: BTreeMap<String, String>,
}

/// What a runner is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Running {
    controller: NodeId,
    offer: Offer,
}

/// `registry` with both kinds.
#[must_use]
pub fn register(registry: Registry) -> Registry {
    registry
        .kind(CONTROLLER, |spec, _| {
            let Controlling { runners, lease_ms, kept, tasks } = spec.attr()?;
            let node = |it: Runs| (it.id, NodeConfig { name: it.name, labels: it.labels });
            Ok(Controller::new(Config {
                nodes: runners.into_iter().map(node).collect(),
                lease: lease_ms,
                most_tasks: tasks,
                most_ended: kept,
                ..Config::default()
            }))
        })
        .kind(RUNNER, |spec, _| {
            let Running { controller, offer } = spec.attr()?;
            Ok(Runner::new(RunnerConfig { offer, ..RunnerConfig::new(spec.node, controller) }))
        })
}

/// The agents that the roles of `cluster` ask for.
#[must_use]
pub fn specs(cluster: &Cluster) -> Vec<AgentSpec> {
    let Some(controller) = cluster.controller() else { return Vec::new() };
    let runners = cluster.runners().map(|node| runner(node, controller.id));
    std::iter::once(controlling(controller, cluster)).chain(runners).collect()
}

fn controlling(node: &NodeSpec, cluster: &Cluster) -> AgentSpec {
    let runs = |node: &NodeSpec| Runs {
        id: node.id,
        name: node.name.to_string(),
        labels: node.labels.clone(),
    };
    let attr = Controlling {
        runners: cluster.runners().map(runs).collect(),
        lease_ms: cluster.jobs.lease.as_millis() as u64,
        kept: cluster.jobs.kept,
        tasks: cluster.jobs.tasks,
    };
    AgentSpec {
        id: controller_of(node.id),
        kind: CONTROLLER.to_owned(),
        node: node.id,
        attr: json!(attr),
        // Of its own thread, so that thousands of ends in a second delay no other agent.
        options: Options {
            placement: Placement::Thread { pin: None },
            mailbox: MAILBOX,
            ..Options::default()
        },
    }
}

fn runner(node: &NodeSpec, controller: NodeId) -> AgentSpec {
    let attr = Running { controller, offer: node.offer.clone().into() };
    AgentSpec {
        id: runner_of(node.id),
        kind: RUNNER.to_owned(),
        node: node.id,
        attr: json!(attr),
        // It keeps nothing: its shim and the controller tell the next one all.
        options: Options { restart: RESTART, mailbox: MAILBOX, ..Options::default() },
    }
}

/// What may wait for such an agent: reports of a few hundred nodes, or ends of many short tasks.
const MAILBOX: MailboxBounds = MailboxBounds { messages: 16 << 10, ..MailboxBounds::DEFAULT };

/// A fault that comes back at once is not mended by restarts. A guess.
const RESTART: Restart = Restart::OnFailure {
    max: 3,
    within: Duration::from_mins(1),
    backoff: Duration::from_millis(100),
};
