use std::time::Duration;

use dx_agents::id::ReplyTo;
use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, Context, Directory, Message, NodeId, Registry,
};
use dx_sim::stuck::{Patience, Verdict};
use dx_sim::tape::{Choice, Point, Tape};
use dx_sim::{Choices, Sim, SimConfig};
use serde::{Deserialize, Serialize};

use crate::kinds::{self, SECOND, Word, diary, spec};

/// Two players and two diaries on one core, and whoever picks takes the `picked` of those ready.
fn one_core(picked: u64, rounds: u64) -> Sim {
    let mut server = spec(1, "player", 1);
    server.attr = serde_json::json!({ "serves": [2, u64::MAX] });
    let agents = vec![server, spec(2, "player", 1), spec(3, "diary", 1), spec(4, "diary", 1)];
    let patience = Patience { rounds, ..Patience::default() };
    let config = SimConfig { patience, ..SimConfig::seeded(1) };
    let mut tape = Tape::new();
    for at in 0..40_000 {
        let point = Point { label: "next".into(), at };
        tape.choose(point, Choice { bound: 100, value: picked });
    }
    let choices = Choices::replayed(&tape);
    Sim::with_choices(config, Directory::new(agents), kinds::registry(), choices).unwrap()
}

fn diary_hears(sim: &mut Sim) -> Result<(), dx_sim::Failure> {
    sim.run_for(SECOND / 100)?;
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(3), Word::Number(1)).unwrap();
    sim.run_until("the diary hears of it", SECOND / 100, |sim| !diary(sim, 3).numbers.is_empty())
}

#[test]
fn who_is_ready_and_never_picked_starves() {
    // Always the one that became ready last: that is a player.
    let failure = diary_hears(&mut one_core(99, 1000)).unwrap_err();
    let starves = "starvation: a3 has been ready for 1001 rounds of picks and never was the one";
    assert!(failure.text.contains(starves), "{failure}");
    // With more patience it is not ended early, and yet it is said.
    let failure = diary_hears(&mut one_core(99, u64::MAX)).unwrap_err();
    assert!(failure.text.contains("starvation: a3 has been ready for"), "{failure}");
}

#[test]
fn who_waits_for_its_turn_does_not_starve() {
    diary_hears(&mut one_core(0, 10)).unwrap();
    for seed in 0..20 {
        let mut server = spec(1, "player", 1);
        server.attr = serde_json::json!({ "serves": [2, u64::MAX] });
        let diaries = [3, 4].map(|id| spec(id, "diary", 1));
        let agents = [server, spec(2, "player", 1)].into_iter().chain(diaries).collect();
        let patience = Patience { rounds: 100, ..Patience::default() };
        let mut sim = kinds::world(SimConfig { patience, ..SimConfig::seeded(seed) }, agents);
        diary_hears(&mut sim).unwrap();
        sim.run_for(SECOND / 100).unwrap();
    }
}

#[test]
fn a_node_that_stands_still_lets_nobody_starve() {
    let mut sim = one_core(0, 10);
    sim.run_until("the node is up", SECOND, |sim| sim.is_up(NodeId(1))).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.pause_node(NodeId(1), 100 * SECOND);
    sim.send(port, AgentId(3), Word::Number(1)).unwrap();
    let failure = sim.run_until("it is heard", 10 * SECOND, |_| false).unwrap_err();
    assert!(failure.text.contains("n1 stands still"), "{failure}");
    assert!(!failure.text.contains("starvation"), "{failure}");
}

#[derive(Serialize, Deserialize)]
enum Lock {
    Acquire,
    Granted,
}

impl Message for Lock {
    const NAME: &'static str = "starving-lock";
}

/// Grants to the next one when the one before has had it for its time.
struct Granter {
    newest_first: bool,
    waiting: Vec<ReplyTo>,
}

impl Agent for Granter {
    type Message = Lock;

    fn start(&mut self, _: &mut Context) {}

    fn message(&mut self, _: AgentId, _: Lock, cx: &mut Context) {
        self.waiting.extend(cx.asked());
        if self.waiting.len() < 2 {
            return;
        }
        let at = if self.newest_first { self.waiting.len() - 1 } else { 0 };
        cx.reply(self.waiting.remove(at), Lock::Granted);
    }
}

/// Wants the lock again and again.
#[derive(Default)]
struct Wants {
    had: u64,
}

impl Agent for Wants {
    type Message = Lock;

    fn start(&mut self, cx: &mut Context) {
        cx.ask(AgentId(1), Lock::Acquire, Duration::from_hours(1));
    }

    fn message(&mut self, _: AgentId, _: Lock, _: &mut Context) {}

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        self.had += u64::from(answer.is_ok());
        cx.ask(AgentId(1), Lock::Acquire, Duration::from_hours(1));
    }
}

fn lock(newest_first: bool) -> Sim {
    let registry = Registry::new()
        .kind("granter", move |_, _| Ok(Granter { newest_first, waiting: Vec::new() }))
        .kind("wants", |_, _| Ok(Wants::default()));
    let agents = (2..=4).map(|id| spec(id, "wants", id as u32));
    let agents = agents.chain([spec(1, "granter", 1)]);
    Sim::new(SimConfig::seeded(1), Directory::new(agents), registry).unwrap()
}

fn all_get_it(sim: &mut Sim) -> Result<(), dx_sim::Failure> {
    sim.run_until("all had the lock five times", SECOND, |sim| {
        sim.agents_of::<Wants>().filter(|(_, it)| it.had >= 5).count() == 3
    })
}

#[test]
fn a_question_that_is_passed_by_while_others_are_answered_is_named() {
    let mut sim = lock(true);
    let failure = all_get_it(&mut sim).unwrap_err();
    assert!(failure.text.contains("starvation: a1 has answered"), "{failure}");
    let Verdict::Overlooked { who, of, others } = sim.stuck().verdict else { panic!("{failure}") };
    assert!(others >= 100 && of == AgentId(1), "{failure}");
    assert!(sim.agent::<Wants>(who).unwrap().had < 5);
    all_get_it(&mut lock(false)).unwrap_or_else(|failure| panic!("{failure}"));
}
