use std::time::Duration;

use dx_agents::{AgentId, Directory, NodeId, RefusedBecause};
use dx_sim::{Machine, NewSimError, Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, registry, spec, world};

#[test]
fn a_world_with_an_unknown_kind_is_not_made_and_says_what_there_is() {
    let directory = Directory::new([spec(1, "dairy", 1)]);
    let error = Sim::new(SimConfig::default(), directory, registry()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to make agent a1: there is no kind `dairy`: known are diary, player"
    );
}

#[test]
fn a_node_cannot_have_a_ports_number() {
    let directory = Directory::new([spec(1, "diary", u32::MAX)]);
    let error = Sim::new(SimConfig::default(), directory, registry()).unwrap_err();
    assert_eq!(error, NewSimError::Node(NodeId(u32::MAX)));
}

#[test]
fn time_goes_on_even_where_steps_take_none() {
    let machine = Machine { step: Duration::ZERO, cores: 0, ..Machine::default() };
    let mut one = spec(1, "player", 1);
    one.attr = serde_json::json!({ "serves": [2, u64::MAX] });
    let config = SimConfig { machine, ..SimConfig::seeded(1) };
    let mut sim = world(config, vec![one, spec(2, "player", 1)]);
    sim.run_for(Duration::from_millis(5) + Duration::from_micros(100)).unwrap();
    assert!(sim.trace().events() > 100);
}

#[test]
fn an_empty_world_has_nothing_to_do_and_says_so() {
    let mut sim = world(SimConfig::default(), Vec::new());
    assert!(!sim.step_once().unwrap());
    let failure = sim.run_until("anything happens", SECOND, |_| false).unwrap_err();
    assert!(failure.to_string().contains("`anything happens` does not hold"), "{failure}");
    let port = sim.port();
    let refused = sim.send(port, AgentId(7), Word::Stop);
    assert_eq!(refused, Err(RefusedBecause::Unknown));
}

#[test]
fn what_is_done_to_a_node_twice_is_done_once() {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1]));
    sim.run_for(SECOND).unwrap();
    let node = NodeId(1);
    sim.pause_node(node, SECOND);
    sim.suspend_node(node, SECOND);
    sim.crash_node(node);
    sim.crash_node(node);
    sim.pause_node(node, SECOND);
    sim.restart_node(node, Duration::ZERO);
    sim.restart_node(node, SECOND);
    sim.cut(node, node);
    sim.lose_session(node, node);
    sim.run_for(5 * SECOND).unwrap();
    assert!(sim.is_up(node));
    let port = sim.port();
    sim.send(port, AgentId(1), Word::Number(1)).unwrap();
    sim.run_for(SECOND).unwrap();
    assert_eq!(diary(&sim, 1).numbers.len(), 1);
}
