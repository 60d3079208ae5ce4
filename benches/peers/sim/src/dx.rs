//! Two agents on two nodes of a calm world.

use anyhow::ensure;
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
    other: AgentId,
    passes: u64,
}

impl Agent for Player {
    type Message = Ball;

    fn start(&mut self, cx: &mut Context) {
        if cx.me() == AgentId(1) {
            cx.send(self.other, Ball(1));
        }
    }

    fn message(&mut self, _: AgentId, ball: Ball, cx: &mut Context) {
        self.passes = ball.0;
        cx.send(self.other, Ball(ball.0 + 1));
    }
}

pub fn play(passes: u64) -> anyhow::Result<()> {
    let registry = Registry::new()
        .kind("player", |spec, _| Ok(Player { other: AgentId(3 - spec.id.0), passes: 0 }));
    let spec = |id: u32| AgentSpec {
        id: AgentId(id.into()),
        kind: "player".to_owned(),
        node: NodeId(id),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let mut sim = Sim::new(SimConfig::seeded(1), Directory::new([spec(1), spec(2)]), registry)?;
    // A pass is two events: its arrival at the node, and the agent's step.
    while sim.trace().events() < 2 * passes {
        ensure!(sim.step_once()?, "the ball was lost");
    }
    let passed = sim.agents_of::<Player>().map(|(_, player)| player.passes).max();
    ensure!(passed.is_some_and(|passed| passed + 8 >= passes), "{passed:?} of {passes} passes");
    Ok(())
}
