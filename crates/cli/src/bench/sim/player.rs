//! Who is simulated: players, who pass on every ball that they get.

use std::time::Duration;

use anyhow::Context as _;
use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry, TimerKey,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

/// A ball: how often it was passed.
#[derive(Serialize, Deserialize)]
pub struct Ball(pub u64);

impl Message for Ball {
    const NAME: &'static str = "bench-ball";
}

/// Passes balls to the next player. One that has had none for a while serves another: else faults
/// would take all balls out of the game in the end.
pub struct Player {
    next: AgentId,
    serves: bool,
    patience: Option<Duration>,
    /// Passes of the last ball.
    pub passes: u64,
    has_played: bool,
}

impl Player {
    fn serve(&mut self, cx: &mut Context) {
        self.has_played = false;
        if self.serves {
            cx.send(self.next, Ball(1));
        }
        if let Some(patience) = self.patience {
            cx.set_timer(TimerKey(0), patience);
        }
    }
}

impl Agent for Player {
    type Message = Ball;

    fn start(&mut self, cx: &mut Context) {
        self.serve(cx);
    }

    fn message(&mut self, _: AgentId, ball: Ball, cx: &mut Context) {
        self.passes = ball.0;
        self.has_played = true;
        cx.send(self.next, Ball(ball.0 + 1));
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if self.has_played {
            self.has_played = false;
            cx.set_timer(key, self.patience.unwrap_or_default());
        } else {
            self.serve(cx);
        }
    }
}

/// How many play, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Game {
    /// Players, in a circle.
    pub players: u64,
    /// The nodes that they are spread over.
    pub nodes: u32,
    /// Time without a ball after which a player serves again; `None`: only the first serves.
    pub patience: Option<Duration>,
}

impl Game {
    /// The world of this game, when it has begun.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn world(self, config: SimConfig) -> anyhow::Result<Sim> {
        let Self { players, nodes, patience } = self;
        let registry = Registry::new().kind("player", move |spec, _| {
            let next = AgentId(spec.id.0 % players + 1);
            let serves = patience.is_some() || spec.id.0 == 1;
            Ok(Player { next, serves, patience, passes: 0, has_played: false })
        });
        let spec = |id| AgentSpec {
            id: AgentId(id),
            kind: "player".to_owned(),
            node: NodeId(1 + (id % u64::from(nodes)) as u32),
            attr: serde_json::Value::Null,
            options: Options::default(),
        };
        let directory = Directory::new((1..=players).map(spec));
        let mut sim = Sim::new(config, directory, registry)?;
        sim.run_for(BEGINNING).context("the game does not begin")?;
        Ok(sim)
    }
}

/// All nodes have started, and all players play.
const BEGINNING: Duration = Duration::from_millis(20);
