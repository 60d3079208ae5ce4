use dx_agents::{AgentId, NodeId};
use dx_sim::control::ControlError;
use dx_sim::{Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

/// Agents 1 and 2 have each sent three numbers to agent 3, and all is held.
fn held() -> Sim {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2, 3]));
    sim.run_for(SECOND).unwrap();
    sim.hold_all();
    for (id, node) in [(1, NodeId(1)), (2, NodeId(2))] {
        let port = sim.port_on(node);
        sim.send(port, AgentId(id), Word::Flood(AgentId(3), 3)).unwrap();
    }
    sim.run_for(SECOND).unwrap();
    sim
}

fn heard(sim: &Sim) -> Vec<(u64, u64)> {
    diary(sim, 3).numbers.iter().map(|(from, number)| (from.0, *number)).collect()
}

#[test]
fn a_test_delivers_in_the_order_that_it_wants() {
    let mut sim = held();
    assert!(heard(&sim).is_empty());
    let from = |id| move |held: &&dx_sim::control::Held| held.from == AgentId(id);
    let all = sim.held();
    assert_eq!(all.len(), 6);
    for held in all.iter().filter(from(2)).take(2).chain(all.iter().filter(from(1))) {
        sim.deliver_held(held.number).unwrap();
        sim.run_for(SECOND).unwrap();
    }
    assert_eq!(heard(&sim), [(2, 0), (2, 1), (1, 0), (1, 1), (1, 2)]);
    sim.release_all();
    sim.run_for(SECOND).unwrap();
    assert_eq!(heard(&sim).last(), Some(&(2, 2)));
}

#[test]
fn what_is_discarded_alone_is_missing() {
    let mut sim = held();
    let second = sim.held()[1];
    sim.discard_held(second.number).unwrap();
    assert_eq!(sim.discard_held(second.number), Err(ControlError::NotHeld(second.number)));
    sim.release_all();
    sim.run_for(SECOND).unwrap();
    let numbers: Vec<_> = heard(&sim).into_iter().filter(|(id, _)| *id == 1).collect();
    assert_eq!(numbers, [(1, 0), (1, 2)]);
    assert_eq!(heard(&sim).len(), 5);
}

#[test]
fn no_message_overtakes_another_of_its_sender() {
    let mut sim = held();
    let [first, second, ..] = sim.held()[..] else { panic!("too few are held") };
    let early = sim.deliver_held(second.number);
    assert_eq!(early, Err(ControlError::OutOfOrder(second.number, first.number)));
    assert_eq!(sim.held().len(), 6);
}
