//! Agents for tests, and worlds of them.

use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Answer, AskError, AskId, Context, Directory, Down, Message, NodeId,
    Options, Refusal, Registry, Spawn, TimerKey,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

pub const SECOND: Duration = Duration::from_secs(1);

/// What the agents here say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// To be sent back with the next number, until it reaches the second.
    Ball(u64, u64),
    /// To be noted.
    Number(u64),
    /// An answer, or to be answered.
    Question(u64),
    /// To be sent so many numbers.
    Flood(AgentId, u64),
    /// To panic.
    Panic,
    /// To stop.
    Stop,
    /// To watch an agent.
    Watch(AgentId),
    /// To spawn a diary.
    Spawn,
}

impl Message for Word {
    const NAME: &'static str = "word";
}

/// Returns balls.
#[derive(Default)]
pub struct Player {
    pub balls: u64,
    serves: Option<(AgentId, u64)>,
}

impl Agent for Player {
    type Message = Word;

    fn start(&mut self, cx: &mut Context) {
        if let Some((to, until)) = self.serves {
            cx.send(to, Word::Ball(1, until));
        }
    }

    fn message(&mut self, from: AgentId, message: Word, cx: &mut Context) {
        if let Word::Ball(count, until) = message {
            self.balls = count;
            if count < until {
                cx.send(from, Word::Ball(count + 1, until));
            }
        }
    }
}

/// Writes down all that it hears, and does what it is told.
#[derive(Default)]
pub struct Diary {
    pub numbers: Vec<(AgentId, u64)>,
    pub downs: Vec<(AgentId, Down)>,
    pub refused: Vec<Refusal>,
    pub writable: Vec<AgentId>,
    pub answers: Vec<Result<u64, AskError>>,
    pub timers: Vec<u64>,
    pub restarts: u32,
    pub spawned: Vec<AgentId>,
}

impl Agent for Diary {
    type Message = Word;

    fn start(&mut self, cx: &mut Context) {
        self.restarts = cx.restarts();
    }

    fn message(&mut self, from: AgentId, message: Word, cx: &mut Context) {
        match message {
            Word::Number(number) | Word::Ball(number, _) => self.numbers.push((from, number)),
            Word::Question(number) => match cx.asked() {
                Some(to) => cx.reply(to, Word::Question(number + 1)),
                None => {
                    cx.ask(AgentId(number), Word::Question(number), SECOND);
                }
            },
            Word::Flood(to, count) => (0..count).for_each(|at| cx.send(to, Word::Number(at))),
            Word::Panic => panic!("as it was told"),
            Word::Stop => cx.stop(),
            Word::Watch(who) => cx.monitor(who),
            Word::Spawn => self.spawned.push(cx.spawn(Spawn::new("diary", Diary::default))),
        }
    }

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, _: &mut Context) {
        self.answers.push(answer.map(|answer| match answer.open().unwrap() {
            Word::Question(number) => number,
            other => panic!("{other:?} is no answer"),
        }));
    }

    fn timer(&mut self, key: TimerKey, _: &mut Context) {
        self.timers.push(key.0);
    }

    fn down(&mut self, who: AgentId, why: Down, _: &mut Context) {
        self.downs.push((who, why));
    }

    fn refused(&mut self, refusal: Refusal, _: &mut Context) {
        self.refused.push(refusal);
    }

    fn writable(&mut self, to: AgentId, _: &mut Context) {
        self.writable.push(to);
    }
}

pub fn registry() -> Registry {
    Registry::new()
        .kind("player", |spec, _| {
            #[derive(Deserialize)]
            struct Attr {
                serves: Option<(AgentId, u64)>,
            }
            let Attr { serves } = spec.attr()?;
            Ok(Player { balls: 0, serves })
        })
        .kind("diary", |_, _| Ok(Diary::default()))
}

pub fn spec(id: u64, kind: &str, node: u32) -> AgentSpec {
    AgentSpec {
        id: AgentId(id),
        kind: kind.into(),
        node: NodeId(node),
        attr: serde_json::Value::Null,
        options: Options::default(),
    }
}

pub fn world(config: SimConfig, agents: Vec<AgentSpec>) -> Sim {
    Sim::new(config, Directory::new(agents), registry()).unwrap()
}

/// Diaries with the ids 1 and up, on these nodes.
pub fn diaries(nodes: &[u32]) -> Vec<AgentSpec> {
    (1..).zip(nodes).map(|(id, node)| spec(id, "diary", *node)).collect()
}

pub fn diary(sim: &Sim, id: u64) -> &Diary {
    sim.agent(AgentId(id)).unwrap()
}
