use std::time::Duration;

use dx_agents::{AgentId, NodeId};
use dx_sim::{Delay, Network, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};
use crate::seeded;

#[test]
fn bandwidth_bounds_what_a_link_carries() {
    let delay = Delay::Fixed(Duration::from_millis(1));
    // A small message has some 35 bytes with its head: about 30 a second.
    let network = Network { bandwidth: 1000, delay, ..Network::default() };
    let mut sim = world(SimConfig { network, ..seeded(1) }, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 60)).unwrap();
    sim.run_for(SECOND).unwrap();
    let arrived = diary(&sim, 2).numbers.len();
    assert!((20..40).contains(&arrived), "{arrived}");
}
