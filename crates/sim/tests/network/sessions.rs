use dx_agents::{AgentId, AskError, Down, NodeId};
use dx_sim::{Heard, Sim};

use crate::kinds::{SECOND, Word, diaries, diary, world};
use crate::{IS_EXPIRY_TOLD, MEET_AGAIN, TOLD, seeded};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn watched(seed: u64) -> Sim {
    let mut sim = world(seeded(seed), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(ONE);
    sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
    sim.run_for(SECOND).unwrap();
    sim
}

fn numbers(sim: &Sim) -> Vec<u64> {
    diary(sim, 2).numbers.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_session_that_ends_may_lose_what_was_on_its_way_and_is_told() {
    let mut losses = 0;
    for seed in 0..50 {
        let mut sim = watched(seed);
        let port = sim.port_on(ONE);
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 40)).unwrap();
        sim.run_for(std::time::Duration::from_micros(200)).unwrap();
        sim.lose_session(ONE, TWO);
        sim.run_for(MEET_AGAIN).unwrap();
        let numbers = numbers(&sim);
        // What arrived is a beginning: nothing is missing in the middle, and nothing comes twice.
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        // Real sessions may need more than one to come together.
        let mut downs = diary(&sim, 1).downs.clone();
        downs.dedup();
        assert_eq!(downs, [(AgentId(2), Down::SessionLost)]);
        losses += u64::from(numbers.len() < 40);
        // And it goes on, with all credit back.
        let before = numbers.len();
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 300)).unwrap();
        sim.run_for(SECOND).unwrap();
        assert_eq!(diary(&sim, 2).numbers.len(), before + 300);
    }
    assert!(losses > 5, "only {losses} runs lost anything");
}

#[test]
fn a_session_ends_by_itself_when_there_is_no_link_for_too_long() {
    let mut sim = watched(1);
    sim.cut(ONE, TWO);
    sim.run_for(59 * SECOND).unwrap();
    assert_eq!(diary(&sim, 1).downs, [(AgentId(2), Down::NoConnection)]);
    sim.run_for(2 * SECOND + TOLD).unwrap();
    let lost = (AgentId(2), Down::SessionLost);
    if IS_EXPIRY_TOLD {
        assert_eq!(diary(&sim, 1).downs[1..], [lost]);
    }
    // What is sent now waits for the next session.
    let port = sim.port_on(ONE);
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 9)).unwrap();
    sim.mend(ONE, TWO);
    sim.run_for(2 * SECOND).unwrap();
    assert_eq!(numbers(&sim), (0..9).collect::<Vec<_>>());
    assert_eq!(diary(&sim, 1).downs[1..], [lost]);
}

#[test]
fn open_questions_end_with_their_session() {
    let mut sim = watched(1);
    let port = sim.port_on(ONE);
    sim.clog(ONE, TWO, SECOND);
    sim.ask(port, AgentId(2), Word::Question(1), 10 * SECOND);
    sim.run_for(SECOND / 2).unwrap();
    sim.lose_session(ONE, TWO);
    let heard = sim.heard(port);
    let Some(Heard::Reply(_, Err(error))) = heard else { panic!("{heard:?}") };
    assert_eq!(error, AskError::Down(Down::SessionLost));
}

#[test]
fn a_node_that_restarts_is_told_as_such_and_is_watched_again() {
    for seed in 0..20 {
        let mut sim = watched(seed);
        sim.crash_node(TWO);
        sim.restart_node(TWO, SECOND / 2);
        sim.run_for(10 * SECOND).unwrap();
        let downs: Vec<Down> = diary(&sim, 1).downs.iter().map(|(_, why)| *why).collect();
        assert_eq!(downs.last(), Some(&Down::Restarted), "seed {seed}: {downs:?}");
        assert!(downs.len() <= 2, "seed {seed}: {downs:?}");
        let port = sim.port();
        sim.send(port, AgentId(2), Word::Stop).unwrap();
        sim.run_for(SECOND).unwrap();
        let last = diary(&sim, 1).downs.last();
        assert_eq!(last, Some(&(AgentId(2), Down::Stopped)), "seed {seed}");
    }
}

#[test]
fn credits_survive_whatever_happens_to_sessions() {
    for seed in 0..50 {
        let mut sim = watched(seed);
        let port = sim.port_on(ONE);
        for round in 0..10 {
            sim.send(port, AgentId(1), Word::Flood(AgentId(2), 50)).unwrap();
            sim.run_for(std::time::Duration::from_micros(100 * round)).unwrap();
            if round % 2 == 0 {
                sim.lose_session(ONE, TWO);
            } else {
                sim.crash_node(TWO);
                sim.restart_node(TWO, SECOND / 10);
            }
            sim.run_for(5 * SECOND).unwrap();
        }
        assert!(sim.credit_waits().is_empty(), "seed {seed}: {:?}", sim.credit_waits());
        let before = diary(&sim, 2).numbers.len();
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 300)).unwrap();
        sim.run_for(5 * SECOND).unwrap();
        assert_eq!(diary(&sim, 2).numbers.len(), before + 300, "seed {seed}");
    }
}
