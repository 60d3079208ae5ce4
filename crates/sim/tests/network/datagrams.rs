use std::collections::BTreeSet;

use dx_agents::{AgentId, NodeId};
use dx_sim::{Network, Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

fn flooded(seed: u64, loss: f64, duplication: f64) -> Sim {
    let network = Network { loss, duplication, ..Network::default() };
    let datagram_kinds = BTreeSet::from(["diary".to_owned()]);
    let config = SimConfig { network, datagram_kinds, ..SimConfig::seeded(seed) };
    let mut sim = world(config, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 100)).unwrap();
    sim.run_for(SECOND).unwrap();
    sim
}

fn numbers(sim: &Sim) -> Vec<u64> {
    diary(sim, 2).numbers.iter().map(|(_, number)| *number).collect()
}

#[test]
fn datagrams_overtake_each_other() {
    let numbers = numbers(&flooded(1, 0.0, 0.0));
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 100);
    assert!(!numbers.is_sorted());
}

#[test]
fn datagrams_are_lost_and_repeated_one_by_one() {
    let lossy = flooded(1, 0.2, 0.0);
    assert!((60..95).contains(&numbers(&lossy).len()));
    assert_eq!(lossy.tally().dropped as usize, 100 - numbers(&lossy).len());
    let doubled = flooded(1, 0.0, 0.2);
    assert_eq!(numbers(&doubled).len() as u64, 100 + doubled.tally().duplicated);
    assert!(doubled.tally().duplicated > 5);
}

#[test]
fn datagrams_do_not_wait_for_a_link() {
    let datagram_kinds = BTreeSet::from(["diary".to_owned()]);
    let config = SimConfig { datagram_kinds, ..SimConfig::seeded(1) };
    let mut sim = world(config, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    sim.cut(NodeId(1), NodeId(2));
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 10)).unwrap();
    sim.run_for(SECOND).unwrap();
    sim.mend_all();
    sim.run_for(SECOND).unwrap();
    assert!(numbers(&sim).is_empty());
}
