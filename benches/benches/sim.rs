//! Events that one core simulates in a second.
#![allow(missing_docs, reason = "criterion's macros make functions without")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry,
};
use dx_sim::{FaultPlan, Sim, SimConfig};
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

/// Events in one iteration.
const EVENTS: u64 = 10_000;

/// Two who play with one ball, or a circle in which everybody has one.
fn world(players: u64, nodes: u32, record: bool) -> Sim {
    let registry = Registry::new().kind("player", move |spec, _| {
        let next = AgentId(spec.id.0 % players + 1);
        Ok(Player { serves: players > 2 || spec.id.0 == 1, next })
    });
    let spec = |id| AgentSpec {
        id: AgentId(id),
        kind: "player".to_owned(),
        node: NodeId(1 + (id % u64::from(nodes)) as u32),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let config = SimConfig { record, ..SimConfig::seeded(1) };
    let directory = Directory::new((1..=players).map(spec));
    let mut sim = Sim::new(config, directory, registry).expect("the kind is known");
    sim.run_for(Duration::from_millis(20)).expect("nothing is demanded");
    sim
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sim");
    group.throughput(Throughput::Elements(EVENTS));
    let mut measure = |name: &str, mut sim: Sim| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let until = sim.trace().events() + EVENTS;
                while sim.trace().events() < until {
                    sim.step_once().expect("nothing is demanded");
                }
            });
        });
    };
    measure("rally on one node", world(2, 1, false));
    measure("rally on one node, recorded", world(2, 1, true));
    measure("rally between two nodes", world(2, 2, false));
    measure("1,000 agents on ten nodes", world(1000, 10, false));
    let mut torn = world(1000, 10, false);
    torn.unleash(FaultPlan {
        lasts: Duration::from_hours(1000),
        kinds: dx_sim::FaultKind::ALL.into_iter().filter(|kind| kind.is_of_network()).collect(),
        every: Duration::from_millis(1),
        mended_after: Duration::from_millis(1),
        most_down: 0,
        delay: dx_sim::Delay::Exponential {
            least: Duration::from_micros(50),
            mean: Duration::from_micros(150),
        },
        loss: 0.0,
    });
    measure("1,000 agents on ten nodes, network faults", torn);
    group.finish();
}

criterion_group!(benches, events);
criterion_main!(benches);
