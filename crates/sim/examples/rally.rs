//! How many events a second one core simulates: `cargo run --release -p dx-sim --example rally`.

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Ball(u64);

impl Message for Ball {
    const NAME: &'static str = "ball";
}

struct Player {
    serves: bool,
    next: AgentId,
}

impl Agent for Player {
    type Message = Ball;

    fn start(&mut self, cx: &mut Context) {
        if self.serves {
            cx.send(self.next, Ball(1));
        }
    }

    fn message(&mut self, _: AgentId, ball: Ball, cx: &mut Context) {
        cx.send(self.next, Ball(ball.0 + 1));
    }
}

fn run(
    name: &str,
    players: u64,
    nodes: u32,
    record: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().kind("player", move |spec, _| {
        let next = AgentId(spec.id.0 % players + 1);
        Ok(Player { serves: players == 2 && spec.id.0 == 1 || players > 2, next })
    });
    let spec = |id| AgentSpec {
        id: AgentId(id),
        kind: "player".to_owned(),
        node: NodeId(1 + (id % u64::from(nodes)) as u32),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let config = SimConfig { record, ..SimConfig::seeded(1) };
    let mut sim = Sim::new(config, Directory::new((1..=players).map(spec)), registry)?;
    sim.run_for(Duration::from_millis(20))?;
    let before = sim.trace().events();
    let cpu = cpu_time();
    while sim.trace().events() - before < 3_000_000 {
        sim.step_once()?;
    }
    let rate = 3.0 / (cpu_time() - cpu).as_secs_f64();
    println!("{name}: {rate:.2} M events/s");
    Ok(())
}

/// Of this process: the machine may be busy with something else.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    run("2 agents on one node", 2, 1, false)?;
    run("2 agents on one node, recorded", 2, 1, true)?;
    run("2 agents on two nodes", 2, 2, false)?;
    run("1,000 agents on ten nodes", 1000, 10, false)
}
