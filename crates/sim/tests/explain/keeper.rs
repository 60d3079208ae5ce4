//! A keeper of numbers with a helper on another node, and somebody who has nothing to do with them.

use std::time::Duration;

use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, Context, Directory, Message, Registry, TimerKey,
};
use dx_sim::{Choices, Delay, Failure, Machine, Network, Sim, SimConfig};
use serde::{Deserialize, Serialize};

pub const KEEPER: AgentId = AgentId(1);
pub const HELPER: AgentId = AgentId(2);
pub const STRANGER: AgentId = AgentId(3);

#[derive(Clone, Serialize, Deserialize)]
pub enum Word {
    Keep { number: u64, note: String },
    Copy(u64),
    Kept(u64),
    Count,
}

impl Message for Word {
    const NAME: &'static str = "word";
}

/// Writes numbers down, sends copies to the helper, and asks it how many it has.
#[derive(Default)]
pub struct Keeper {
    pub numbers: u64,
}

impl Agent for Keeper {
    type Message = Word;

    fn start(&mut self, cx: &mut Context) {
        self.numbers = cx.recovered().records.len() as u64;
    }

    fn message(&mut self, from: AgentId, word: Word, cx: &mut Context) {
        let Word::Keep { number, note } = word else { return };
        self.numbers += 1;
        cx.persist(note.into_bytes());
        cx.send_many(&[HELPER], &Word::Copy(number));
        cx.ask(HELPER, Word::Count, Duration::from_millis(500));
        cx.send(from, Word::Kept(number));
    }

    fn reply(&mut self, _: AskId, _: Result<Answer, AskError>, _: &mut Context) {}
}

#[derive(Default)]
pub struct Helper {
    pub copies: u64,
}

impl Agent for Helper {
    type Message = Word;

    fn message(&mut self, _: AgentId, word: Word, cx: &mut Context) {
        match word {
            Word::Copy(_) => self.copies += 1,
            Word::Count => cx.reply(cx.asked().unwrap(), Word::Kept(self.copies)),
            Word::Keep { .. } | Word::Kept(_) => {}
        }
    }
}

#[derive(Default)]
pub struct Stranger;

impl Agent for Stranger {
    type Message = Word;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(TimerKey(7), Duration::from_millis(1));
    }

    fn message(&mut self, _: AgentId, _: Word, _: &mut Context) {}

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        cx.set_timer(key, Duration::from_millis(1));
    }
}

/// Everything takes as long as it always does, so that what is drawn is the same.
pub fn world() -> Sim {
    let agents = r#"[
        { "id": 1, "kind": "keeper", "node": 1 },
        { "id": 2, "kind": "helper", "node": 2 },
        { "id": 3, "kind": "stranger", "node": 3 }
    ]"#;
    let agents: Vec<_> = serde_json::from_str(agents).unwrap();
    let registry = Registry::new()
        .kind("keeper", |_, _| Ok(Keeper::default()))
        .kind("helper", |_, _| Ok(Helper::default()))
        .kind("stranger", |_, _| Ok(Stranger));
    let millisecond = Delay::Fixed(Duration::from_millis(1));
    let network = Network { delay: millisecond, redial: millisecond, ..Network::default() };
    let machine = Machine { sync: millisecond, ..Machine::default() };
    let config = SimConfig { network, machine, boot: Duration::ZERO, ..SimConfig::seeded(1) };
    let choices = Choices::replayed(&dx_sim::tape::Tape::new());
    let mut sim = Sim::with_choices(config, Directory::new(agents), registry, choices).unwrap();
    sim.name(HELPER, "the helper");
    sim
}

pub fn run(sim: &mut Sim, millis: u64) {
    sim.run_for(Duration::from_millis(millis)).unwrap();
}

/// The keeper is asked to keep a number.
pub fn keep(sim: &mut Sim, port: dx_sim::Port, number: u64) {
    let note = format!("number {number}");
    sim.send(port, KEEPER, Word::Keep { number, note }).unwrap();
}

/// Fails, of what keeper and helper have.
pub fn fail(sim: &mut Sim) -> Failure {
    let holds = |sim: &mut Sim| {
        let numbers = sim.agent::<Keeper>(KEEPER).map(|it| it.numbers);
        numbers.is_some() && numbers == sim.agent::<Helper>(HELPER).map(|it| it.copies)
    };
    sim.run_until("the helper has all copies", Duration::ZERO, holds).unwrap_err()
}
