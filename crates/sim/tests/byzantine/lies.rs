use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{AgentId, AskError, NodeId};
use dx_sim::{Behaviour, ByzantineError, Heard, Lie, Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

const LIAR: AgentId = AgentId(1);
const TRUTH: u64 = 0x0123_4567_89ab_cdef;

/// Agent 1 may lie; 2 and 3 write down what it says.
fn court() -> Sim {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2, 3]));
    sim.run_for(SECOND).unwrap();
    sim.allow_byzantine(1);
    sim
}

fn only(lie: Lie) -> Behaviour {
    Behaviour { lies: vec![lie], probability: 1.0, ..Behaviour::default() }
}

/// The liar says the numbers below `count` to one of them: what is heard.
fn testimony(sim: &mut Sim, to: u64, count: u64) -> Vec<u64> {
    let port = sim.port_on(NodeId(1));
    sim.send(port, LIAR, Word::Flood(AgentId(to), count)).unwrap();
    sim.run_for(3 * SECOND).unwrap();
    diary(sim, to).numbers.iter().map(|(_, number)| *number).collect()
}

fn told(sim: &Sim, lie: Lie) -> u64 {
    sim.byzantine().lies.iter().find(|(it, _)| *it == lie).map_or(0, |(_, count)| *count)
}

#[test]
fn the_silent_are_not_heard() {
    let mut sim = court();
    sim.make_byzantine(LIAR, Behaviour::silent()).unwrap();
    assert!(testimony(&mut sim, 2, 5).is_empty());
    assert_eq!(told(&sim, Lie::Silence), 5);
}

#[test]
fn what_is_corrupted_is_another_message_of_its_kind() {
    let mut sim = court();
    sim.make_byzantine(LIAR, only(Lie::Corruption)).unwrap();
    let heard = testimony(&mut sim, 2, 40);
    assert!(heard.iter().enumerate().any(|(at, number)| *number != at as u64), "{heard:?}");
    assert_eq!(told(&sim, Lie::Corruption), 40);
    assert_eq!(sim.dead_letters(dx_agents::runtime::Reason::Malformed), 0);
}

#[test]
fn who_equivocates_tells_some_the_truth_and_others_one_of_two_lies() {
    let (mut all, mut most) = (BTreeSet::new(), 0);
    for seed in 0..20 {
        let mut sim = world(SimConfig::seeded(seed), diaries(&[1, 2, 3, 4, 5]));
        sim.run_for(SECOND).unwrap();
        sim.allow_byzantine(1);
        let behaviour = Behaviour { probability: 0.5, ..only(Lie::Equivocation) };
        sim.make_byzantine(LIAR, behaviour).unwrap();
        // A large number can be changed in many ways.
        sim.corrupt(LIAR, |to, word, _| match word {
            Word::Number(_) => vec![(to, Word::Number(TRUTH))],
            other => vec![(to, other)],
        })
        .unwrap();
        let heard: BTreeSet<u64> = (2..=5).flat_map(|to| testimony(&mut sim, to, 1)).collect();
        most = most.max(heard.len());
        all.extend(heard);
    }
    assert!(most >= 2, "nobody heard anything else than others");
    // What is told depends on the message and the version alone.
    assert!((2..=3).contains(&all.len()) && all.contains(&TRUTH), "{all:?}");
}

#[test]
fn what_was_said_is_said_again() {
    let mut sim = court();
    sim.make_byzantine(LIAR, only(Lie::Replay)).unwrap();
    let heard = testimony(&mut sim, 2, 10);
    let different: BTreeSet<_> = heard.iter().collect();
    assert_eq!(different.len(), 10);
    assert!(heard.len() > 10, "{heard:?}");
    assert_eq!(heard.len() as u64, 10 + told(&sim, Lie::Replay));
}

#[test]
fn what_is_late_is_overtaken_and_comes() {
    let mut sim = court();
    sim.make_byzantine(LIAR, only(Lie::Delay)).unwrap();
    let heard = testimony(&mut sim, 2, 20);
    assert!(!heard.is_sorted(), "{heard:?}");
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), (0..20).collect());
}

#[test]
fn what_a_liar_holds_back_goes_down_with_its_node() {
    let mut sim = court();
    sim.make_byzantine(LIAR, only(Lie::Delay)).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.send(port, LIAR, Word::Flood(AgentId(2), 20)).unwrap();
    sim.run_for(Duration::from_micros(100)).unwrap();
    sim.crash_node(NodeId(1));
    sim.restart_node(NodeId(1), Duration::ZERO);
    sim.run_for(3 * SECOND).unwrap();
    assert_eq!(told(&sim, Lie::Delay), 20);
    assert!(diary(&sim, 2).numbers.len() < 20);
}

#[test]
fn answers_are_lies_too() {
    let mut sim = court();
    let port = sim.port();
    sim.make_byzantine(LIAR, Behaviour::silent()).unwrap();
    sim.ask(port, LIAR, Word::Question(1), SECOND);
    sim.run_for(2 * SECOND).unwrap();
    assert!(matches!(sim.heard(port), Some(Heard::Reply(_, Err(AskError::Timeout)))));
    sim.make_byzantine(LIAR, only(Lie::Corruption)).unwrap();
    sim.ask(port, LIAR, Word::Question(1), SECOND);
    sim.run_for(2 * SECOND).unwrap();
    let Some(Heard::Reply(_, Ok(answer))) = sim.heard(port) else { panic!("no answer") };
    assert_ne!(answer.open::<Word>().unwrap(), Word::Question(2));
}

#[test]
fn a_tests_own_wrapper_sees_what_is_said_and_says_something_else() {
    let mut sim = court();
    sim.corrupt(LIAR, |to, word, choices| match word {
        Word::Number(0) => Vec::new(),
        Word::Number(number) => {
            let other = AgentId(2 + choices.choose("victim", 2));
            vec![(to, Word::Number(number)), (other, Word::Number(100 + number))]
        }
        other => vec![(to, other)],
    })
    .unwrap();
    let heard = testimony(&mut sim, 2, 5);
    let mut all: Vec<_> =
        heard.into_iter().chain(diary(&sim, 3).numbers.iter().map(|it| it.1)).collect();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 101, 102, 103, 104]);
    assert!(diary(&sim, 3).numbers.iter().all(|(from, _)| *from == LIAR), "its name stays true");
}

#[test]
fn no_more_agents_lie_than_may() {
    let mut sim = court();
    sim.make_byzantine(LIAR, Behaviour::default()).unwrap();
    sim.make_byzantine(LIAR, Behaviour::silent()).unwrap();
    let second = sim.make_byzantine(AgentId(2), Behaviour::silent());
    assert_eq!(second, Err(ByzantineError::OverBudget { agent: AgentId(2), most: 1 }));
    let nobody = sim.corrupt(AgentId(9), |to, word: Word, _| vec![(to, word)]);
    assert_eq!(nobody, Err(ByzantineError::NoSuchAgent(AgentId(9))));
    let late = sim.twin(LIAR, SECOND);
    assert_eq!(late, Err(ByzantineError::HasBegun(LIAR)));
    let report = sim.byzantine();
    assert_eq!((report.most, report.liars), (1, vec![LIAR]));
}

#[test]
fn traitors_are_drawn_within_the_budget() {
    let mut sizes = BTreeSet::new();
    for seed in 0..50 {
        let mut sim = world(SimConfig::seeded(seed), diaries(&[1, 2, 3]));
        sim.allow_byzantine(2);
        let traitors = sim.betray(&[AgentId(1), AgentId(2), AgentId(3)]).unwrap();
        assert_eq!(traitors, sim.byzantine().liars);
        sizes.insert(traitors.len());
    }
    assert_eq!(sizes, [0, 1, 2].into());
}
