use std::time::Duration;

use dx_agents::{AgentId, NodeId};
use dx_sim::{Behaviour, Fidelity, Heard, Hears, Network, Sim, SimConfig};

use crate::kinds::{Diary, SECOND, Word, diaries, diary, world};

const TWIN: AgentId = AgentId(1);
const ROUND: Duration = Duration::from_millis(100);
const TWO: NodeId = NodeId(2);
const THREE: NodeId = NodeId(3);

fn family() -> Sim {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2, 3]));
    sim.allow_byzantine(1);
    sim.twin(TWIN, ROUND).unwrap();
    sim
}

fn numbers(diary: &Diary) -> Vec<u64> {
    diary.numbers.iter().map(|(_, number)| *number).collect()
}

fn say(sim: &mut Sim, on: NodeId, from: u64, word: Word) {
    let port = sim.port_on(on);
    sim.send(port, AgentId(from), word).unwrap();
}

#[test]
fn each_hears_whom_it_deals_with_and_nobody_else() {
    let mut sim = family();
    sim.set_hears(TWIN, TWO, Hears::First);
    sim.set_hears(TWIN, THREE, Hears::Second);
    sim.run_for(SECOND).unwrap();
    // 2 and 3 each say something to the one name, and it answers in their place.
    for (node, count) in [(TWO, 2), (THREE, 3)] {
        say(&mut sim, node, u64::from(node.0), Word::Flood(TWIN, count));
        sim.run_for(SECOND).unwrap();
    }
    assert_eq!(numbers(diary(&sim, 1)), [0, 1]);
    assert_eq!(numbers(sim.second_twin(TWIN).unwrap()), [0, 1, 2]);
    for node in [TWO, THREE] {
        // From 2 the first hears of it, from 3 the second: both flood 2, which hears the first.
        let port = sim.port_on(node);
        sim.send(port, TWIN, Word::Flood(AgentId(2), u64::from(node.0))).unwrap();
        sim.run_for(SECOND).unwrap();
    }
    assert_eq!(numbers(diary(&sim, 2)), [0, 1]);
    assert_eq!(diary(&sim, 2).numbers[0].0, TWIN, "under their one name");
    assert_eq!(sim.byzantine().unheard, 3);
    assert_eq!(sim.byzantine().twins, [TWIN]);
}

#[test]
fn who_deals_with_both_is_heard_and_answered_by_both() {
    let mut sim = family();
    sim.set_hears(TWIN, TWO, Hears::Both);
    sim.run_for(SECOND).unwrap();
    say(&mut sim, TWO, 2, Word::Flood(TWIN, 1));
    let port = sim.port_on(TWO);
    sim.send(port, TWIN, Word::Flood(AgentId(2), 1)).unwrap();
    sim.ask(port, TWIN, Word::Question(4), SECOND);
    sim.run_for(2 * SECOND).unwrap();
    assert_eq!(numbers(diary(&sim, 1)), [0]);
    assert_eq!(numbers(sim.second_twin(TWIN).unwrap()), [0]);
    assert_eq!(numbers(diary(&sim, 2)), [0, 0]);
    let Some(Heard::Reply(_, Ok(answer))) = sim.heard(port) else { panic!("no answer") };
    assert_eq!(answer.open::<Word>().unwrap(), Word::Question(5));
    assert!(sim.heard(port).is_none(), "one answer counts");
}

#[test]
fn both_ask_and_both_are_answered() {
    let mut sim = family();
    sim.set_hears(TWIN, TWO, Hears::Both);
    sim.set_hears(TWIN, THREE, Hears::Second);
    sim.run_for(SECOND).unwrap();
    // A question that it gets in a message: it asks agent 2.
    for node in [TWO, THREE] {
        let port = sim.port_on(node);
        sim.send(port, TWIN, Word::Question(2)).unwrap();
    }
    sim.run_for(2 * SECOND).unwrap();
    assert_eq!(diary(&sim, 1).answers, [Ok(3)]);
    assert_eq!(sim.second_twin::<Diary>(TWIN).unwrap().answers, [Ok(3), Ok(3)]);
}

#[test]
fn a_twin_hears_of_ends_and_speaks_to_itself_alone() {
    let mut sim = family();
    sim.set_hears(TWIN, THREE, Hears::Second);
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(THREE);
    sim.send(port, TWIN, Word::Watch(AgentId(2))).unwrap();
    sim.send(port, TWIN, Word::Flood(TWIN, 2)).unwrap();
    sim.run_for(SECOND).unwrap();
    say(&mut sim, TWO, 2, Word::Stop);
    sim.run_for(SECOND).unwrap();
    let second: &Diary = sim.second_twin(TWIN).unwrap();
    assert_eq!((numbers(second), second.downs.len()), (vec![0, 1], 1));
    assert_eq!((numbers(diary(&sim, 1)), diary(&sim, 1).downs.len()), (vec![], 0));
}

#[test]
fn whom_it_deals_with_is_drawn_for_each_round() {
    let mut split = [0, 0];
    for seed in 0..20 {
        let mut sim = world(SimConfig::seeded(seed), diaries(&[1, 2]));
        sim.allow_byzantine(1);
        sim.twin(TWIN, ROUND).unwrap();
        sim.run_for(SECOND).unwrap();
        for _ in 0..10 {
            say(&mut sim, TWO, 2, Word::Flood(TWIN, 1));
            sim.run_for(ROUND).unwrap();
        }
        split[0] += numbers(diary(&sim, 1)).len();
        split[1] += numbers(sim.second_twin(TWIN).unwrap()).len();
        assert!(split[0] + split[1] >= 10, "at least one of them hears everything");
    }
    assert!(split.iter().all(|heard| (80..190).contains(heard)), "two of three each: {split:?}");
}

#[test]
fn after_the_faults_all_hear_all() {
    let mut sim = family();
    sim.set_hears(TWIN, TWO, Hears::First);
    sim.run_for(SECOND).unwrap();
    sim.heal();
    say(&mut sim, TWO, 2, Word::Flood(TWIN, 1));
    sim.run_for(SECOND).unwrap();
    assert_eq!(numbers(diary(&sim, 1)), numbers(sim.second_twin(TWIN).unwrap()));
}

#[test]
fn twins_begin_as_one_and_survive_faults_of_their_nodes() {
    for seed in 0..30 {
        let mut sim = world(SimConfig::seeded(seed), diaries(&[1, 2, 3]));
        sim.allow_byzantine(1);
        sim.twin(TWIN, ROUND).unwrap();
        sim.torment(SECOND, 1).unwrap();
        for to in [2, 3] {
            say_when_up(&mut sim, to);
        }
        sim.run_until("both twins hear all", 100 * SECOND, |sim| {
            let first = sim.agent::<Diary>(TWIN).map(|it| it.numbers.len());
            let second = sim.second_twin::<Diary>(TWIN).map(|it| it.numbers.len());
            first == Some(2) && second == Some(2)
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    }
}

fn say_when_up(sim: &mut Sim, from: u64) {
    sim.run_for(70 * SECOND).unwrap();
    say(sim, NodeId(from as u32), from, Word::Flood(TWIN, 1));
}

#[test]
fn twins_and_liars_are_the_same_over_real_sessions() {
    let network = Network { fidelity: Fidelity::Bytes, ..Network::default() };
    let config = SimConfig { network, ..SimConfig::seeded(1) };
    let mut sim = world(config, diaries(&[1, 2, 3]));
    sim.allow_byzantine(2);
    sim.twin(TWIN, ROUND).unwrap();
    sim.make_byzantine(AgentId(3), Behaviour::silent()).unwrap();
    sim.set_hears(TWIN, TWO, Hears::Second);
    sim.set_hears(TWIN, THREE, Hears::Both);
    sim.run_for(SECOND).unwrap();
    say(&mut sim, TWO, 2, Word::Flood(TWIN, 3));
    say(&mut sim, THREE, 3, Word::Flood(TWIN, 3));
    let port = sim.port_on(TWO);
    sim.send(port, TWIN, Word::Flood(AgentId(3), 2)).unwrap();
    sim.ask(port, TWIN, Word::Question(4), SECOND);
    sim.run_for(2 * SECOND).unwrap();
    assert_eq!(numbers(diary(&sim, 1)).len(), 0);
    assert_eq!(numbers(sim.second_twin(TWIN).unwrap()), [0, 1, 2]);
    assert_eq!(numbers(diary(&sim, 3)), [0, 1]);
    let Some(Heard::Reply(_, Ok(answer))) = sim.heard(port) else { panic!("no answer") };
    assert_eq!(answer.open::<Word>().unwrap(), Word::Question(5));
}
