use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry, TimerKey,
};
use dx_sim::{Choices, Sim, SimConfig};
use serde::{Deserialize, Serialize};

pub const PLAYERS: u64 = 3;
pub const LOW: &str = "no sum is over 42";

#[derive(Clone, Serialize, Deserialize)]
pub struct Throw(pub u64);

impl Message for Throw {
    const NAME: &'static str = "throw";
}

/// Throws a die now and then, tells its neighbour, and adds up what it hears.
#[derive(Default)]
pub struct Player {
    pub sum: u64,
    pub heard: u64,
}

impl Agent for Player {
    type Message = Throw;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(TimerKey(1), Duration::from_millis(10));
    }

    fn message(&mut self, _: AgentId, Throw(eyes): Throw, cx: &mut Context) {
        self.sum += eyes;
        self.heard += 1;
        if eyes == 6 {
            cx.note("a six was heard", self.heard);
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        let eyes = 1 + cx.rng().below(6);
        cx.send(AgentId(cx.me().0 % PLAYERS + 1), Throw(eyes));
        cx.set_timer(key, Duration::from_millis(10));
    }
}

pub fn make(seed: u64, choices: Choices) -> Sim {
    let registry = Registry::new().kind("player", |_, _| Ok(Player::default()));
    let spec = |id| AgentSpec {
        id: AgentId(id),
        kind: "player".to_owned(),
        node: NodeId(id as u32),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let directory = Directory::new((1..=PLAYERS).map(spec));
    Sim::with_choices(SimConfig::seeded(seed), directory, registry, choices).unwrap()
}

/// Demands that nobody has more than 42 after ten throws, which some seeds break.
pub fn low(sim: &mut Sim) {
    sim.always(LOW, |sim| {
        let lucky = sim.agents_of::<Player>().find(|(_, it)| it.heard <= 10 && it.sum > 42);
        lucky.map_or(Ok(()), |(id, it)| Err(format!("{id} has {}", it.sum)))
    });
}
