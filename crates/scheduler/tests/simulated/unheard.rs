//! A controller that loses joins, and no session ends with them.

use std::time::Duration;

use dx_agents::Registry;
use dx_agents::{Agent, AgentId, AgentSpec, Context, Directory, Down, Options, Refusal, TimerKey};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::message::{ControllerMessage, ToController};
use dx_scheduler::processor::Machine;
use dx_scheduler::runner::{Runner, RunnerConfig};
use dx_scheduler::{processor_of, runner_of};
use dx_sim::{Choices, Sim, SimConfig};

use super::history::Shared;
use super::shim::SimShim;
use super::world::{CONTROLLER, LEASE, capacity, controller, runner_node, shim_node};

/// Joins that are lost.
const LOST: u32 = 3;

struct Deaf {
    inner: Controller,
    left: u32,
}

impl Agent for Deaf {
    type Message = ControllerMessage;

    fn start(&mut self, cx: &mut Context) {
        self.inner.start(cx);
    }

    fn message(&mut self, from: AgentId, message: ControllerMessage, cx: &mut Context) {
        let is_join = matches!(message, ControllerMessage::Runner(ToController::Join(_)));
        if is_join && self.left > 0 {
            self.left -= 1;
            return;
        }
        self.inner.message(from, message, cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.inner.timer(key, cx);
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        self.inner.down(who, why, cx);
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        self.inner.refused(refusal, cx);
    }

    fn compact(&mut self, cx: &mut Context) {
        self.inner.compact(cx);
    }
}

fn world() -> Sim {
    let node = runner_node(0);
    let name = NodeConfig { name: "m0".to_owned(), ..NodeConfig::default() };
    let lease = LEASE.as_millis() as u64;
    let config = Config { nodes: [(node, name)].into(), lease, ..Config::default() };
    let history = Shared::default();
    history.lock().unwrap().capacity = capacity();
    let registry = Registry::new()
        .kind("controller", move |_, _| {
            Ok(Deaf { inner: Controller::new(config.clone()), left: LOST })
        })
        .kind("runner", |spec, _| {
            let processor = processor_of(shim_node(0));
            Ok(Runner::new(RunnerConfig { processor, ..RunnerConfig::new(spec.node, CONTROLLER) }))
        })
        .kind("shim", move |_, _| {
            let (machine, history) = (Machine::default(), history.clone());
            Ok(SimShim::new(node, runner_of(node), machine, true, history))
        });
    let spec = |id: AgentId, kind: &str| AgentSpec {
        id,
        kind: kind.to_owned(),
        node: id.spawned_by().expect("all are of a node"),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let agents = vec![
        spec(controller(), "controller"),
        spec(runner_of(node), "runner"),
        spec(processor_of(shim_node(0)), "shim"),
    ];
    let directory = Directory::new(agents);
    Sim::with_choices(SimConfig::seeded(1), directory, registry, Choices::seeded(1)).unwrap()
}

#[test]
fn a_runner_whose_join_is_lost_joins_again() {
    let mut sim = world();
    let is_welcome = |sim: &Sim| {
        let runner = sim.agent::<Runner>(runner_of(runner_node(0)));
        runner.is_some_and(Runner::is_welcome)
    };
    sim.run_for(Duration::from_secs(3)).unwrap();
    assert!(!is_welcome(&sim), "its first two are lost");
    sim.run_for(Duration::from_secs(15)).unwrap();
    assert!(is_welcome(&sim));
}
