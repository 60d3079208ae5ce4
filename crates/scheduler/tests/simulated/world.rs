//! A cluster: a controller, and machines with a runner and a shim each, on nodes of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::job::{Cpus, Resources, Size};
use dx_scheduler::processor::Machine;
use dx_scheduler::runner::{Offer, Runner, RunnerConfig};
use dx_scheduler::{controller_of, processor_of, runner_of};
use dx_sim::{Choices, Sim, SimConfig};

use super::history::Shared;
use super::shim::SimShim;

pub const CONTROLLER: NodeId = NodeId(1);

/// Short, so that a run sees many end.
pub const LEASE: Duration = Duration::from_secs(3);

pub fn controller() -> AgentId {
    controller_of(CONTROLLER)
}

/// The node of a machine's runner; machines are numbered from 0.
pub fn runner_node(machine: u64) -> NodeId {
    NodeId(10 + machine as u32)
}

pub fn shim_node(machine: u64) -> NodeId {
    NodeId(50 + machine as u32)
}

pub fn is_runners(node: NodeId) -> bool {
    (10..50).contains(&node.0)
}

fn machine_of(node: NodeId) -> u64 {
    u64::from(node.0 % 10)
}

/// What each machine has.
pub fn capacity() -> Resources {
    let custom = BTreeMap::from([("licence".to_owned(), 2)]);
    Resources { cpus: Cpus(3000), memory: Size(4 << 30), gpus: 2, custom }
}

/// A world of so many machines.
pub fn world(seed: u64, choices: Choices, machines: u64, history: &Shared) -> Sim {
    history.lock().unwrap().capacity = capacity();
    let nodes = (0..machines).map(|machine| {
        let labels = BTreeMap::from([("half".to_owned(), (machine % 2).to_string())]);
        (runner_node(machine), NodeConfig { name: format!("m{machine}"), labels })
    });
    let config =
        Config { nodes: nodes.collect(), lease: LEASE.as_millis() as u64, ..Config::default() };
    let witness = history.clone();
    let registry = Registry::new()
        .kind("controller", move |_, _| Ok(Controller::new(config.clone())))
        .kind("runner", |spec, _| {
            let machine = machine_of(spec.node);
            let Resources { custom, .. } = capacity();
            Ok(Runner::new(RunnerConfig {
                processor: processor_of(shim_node(machine)),
                offer: Offer { custom, ..Offer::default() },
                ..RunnerConfig::new(spec.node, CONTROLLER)
            }))
        })
        .kind("shim", move |spec, _| {
            let node = runner_node(machine_of(spec.node));
            let Resources { cpus, memory, gpus, .. } = capacity();
            let machine = Machine { cpus: cpus.0, memory: memory.0, gpus };
            let remembers_starts = seed.is_multiple_of(2);
            Ok(SimShim::new(node, runner_of(node), machine, remembers_starts, witness.clone()))
        });
    let spec = |id: AgentId, kind: &str| AgentSpec {
        id,
        kind: kind.to_owned(),
        node: id.spawned_by().expect("all are of a node"),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let mut agents = vec![spec(controller(), "controller")];
    for machine in 0..machines {
        agents.push(spec(runner_of(runner_node(machine)), "runner"));
        agents.push(spec(processor_of(shim_node(machine)), "shim"));
    }
    let mut config = SimConfig::seeded(seed);
    // Slow disks, in every third world.
    if seed.is_multiple_of(3) {
        config.machine.sync = dx_sim::Delay::Exponential {
            least: Duration::from_millis(1),
            mean: Duration::from_millis(40),
        };
    }
    let mut sim = Sim::with_choices(config, Directory::new(agents), registry, choices).unwrap();
    let watched = history.clone();
    sim.always("what processes do is right", move |sim| {
        let mut history = watched.lock().unwrap();
        history.now = sim.now().0;
        history.wrong.clone().map_or(Ok(()), Err)
    });
    sim
}
