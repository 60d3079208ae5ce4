use std::time::Duration;

use dx_agents::{AgentId, Down, NodeId};
use dx_sim::{Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};
use crate::{TOLD, seeded};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn numbers(sim: &Sim) -> Vec<u64> {
    diary(sim, 2).numbers.iter().map(|(_, number)| *number).collect()
}

/// Agent 1, on node 1, watches agent 2, on node 2, and has had a conversation with it.
fn pair(config: SimConfig) -> Sim {
    let mut sim = world(config, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(ONE);
    sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 3)).unwrap();
    sim.run_for(SECOND).unwrap();
    assert_eq!(numbers(&sim), [0, 1, 2]);
    sim
}

fn flood(sim: &mut Sim, count: u64) {
    let port = sim.port_on(ONE);
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), count)).unwrap();
}

#[test]
fn a_short_cut_delays_and_loses_nothing() {
    let mut delayed = 0;
    for seed in 0..20 {
        let mut sim = pair(seeded(seed));
        flood(&mut sim, 20);
        sim.run_for(Duration::from_micros(150)).unwrap();
        sim.cut(ONE, TWO);
        sim.run_for(SECOND).unwrap();
        delayed += u64::from(numbers(&sim).len() < 23);
        sim.mend(ONE, TWO);
        sim.run_for(SECOND).unwrap();
        assert_eq!(numbers(&sim)[3..], (0..20).collect::<Vec<_>>());
        assert!(diary(&sim, 1).downs.is_empty(), "a broken link alone is no event");
        assert_eq!(sim.tally().lost, 0);
    }
    assert!(delayed > 5, "only {delayed} cuts came early enough to show anything");
}

#[test]
fn a_long_cut_is_told_and_loses_nothing() {
    for (from, to) in [(ONE, TWO), (TWO, ONE)] {
        let mut sim = pair(seeded(1));
        sim.cut(from, to);
        sim.run_for(2 * SECOND).unwrap();
        assert!(diary(&sim, 1).downs.is_empty());
        sim.run_for(TOLD).unwrap();
        // Whichever way is cut: a link of which one way is dead is dead.
        assert_eq!(diary(&sim, 1).downs, [(AgentId(2), Down::NoConnection)]);
        flood(&mut sim, 20);
        sim.run_for(SECOND).unwrap();
        assert_eq!(numbers(&sim).len(), 3);
        sim.mend(from, to);
        sim.run_for(2 * SECOND).unwrap();
        assert_eq!(numbers(&sim)[3..], (0..20).collect::<Vec<_>>());
        assert!(sim.tally().resumed >= 1 && sim.tally().lost == 0);
        assert_eq!(diary(&sim, 1).downs.len(), 1);
    }
}

#[test]
fn a_one_way_cut_lets_the_other_way_through_until_it_is_noticed() {
    let mut sim = pair(seeded(1));
    sim.cut(TWO, ONE);
    flood(&mut sim, 5);
    sim.run_for(SECOND).unwrap();
    assert_eq!(numbers(&sim).len(), 8);
}

#[test]
fn a_bridge_reaches_both_sides_that_do_not_reach_each_other() {
    let mut sim = world(seeded(1), diaries(&[1, 2, 3]));
    sim.run_for(SECOND).unwrap();
    let three = NodeId(3);
    sim.partition(&[&[ONE, TWO], &[TWO, three]]);
    let port = sim.port_on(TWO);
    sim.send(port, AgentId(1), Word::Number(1)).unwrap();
    sim.send(port, AgentId(3), Word::Number(3)).unwrap();
    flood_between(&mut sim, ONE, 1, 3);
    sim.run_for(SECOND).unwrap();
    assert_eq!([1, 3].map(|id| diary(&sim, id).numbers.len()), [1, 1]);
    sim.mend_all();
    sim.run_for(SECOND).unwrap();
    assert_eq!(diary(&sim, 3).numbers.len(), 1 + 4);
}

fn flood_between(sim: &mut Sim, node: NodeId, from: u64, to: u64) {
    let port = sim.port_on(node);
    sim.send(port, AgentId(from), Word::Flood(AgentId(to), 4)).unwrap();
}

#[test]
fn a_clog_holds_one_way_for_its_time() {
    let mut sim = pair(seeded(1));
    sim.clog(ONE, TWO, SECOND);
    flood(&mut sim, 5);
    sim.run_for(SECOND / 2).unwrap();
    assert_eq!(numbers(&sim).len(), 3);
    sim.run_for(SECOND).unwrap();
    assert_eq!(numbers(&sim).len(), 8);
}

#[test]
fn a_circle_of_waits_for_credit_is_reported() {
    let mut sim = world(seeded(1), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    sim.cut(ONE, TWO);
    sim.cut(TWO, ONE);
    for (node, from, to) in [(ONE, 1, 2), (TWO, 2, 1)] {
        let port = sim.port_on(node);
        sim.send(port, AgentId(from), Word::Flood(AgentId(to), 100)).unwrap();
    }
    let failure = sim.run_until("they hear each other", SECOND, |_| false).unwrap_err();
    assert!(failure.text.contains("deadlock: n1 waits for credit from n2"), "{failure}");
    assert_eq!(sim.credit_cycle().len(), 2);
    sim.mend_all();
    sim.run_for(SECOND).unwrap();
    assert!(sim.credit_cycle().is_empty());
}
