//! Nothing goes wrong.

use std::time::Duration;

use dx_ring::Member;
use dx_sim::{Choices, SimConfig};

use super::oracle::Shared;
use super::recorder::{Load, Recorder, flow, world};

#[test]
fn members_of_one_view_deliver_everything_in_one_order() {
    for count in [1, 2, 3, 5, 8] {
        let oracle = Shared::default();
        let load = Load { messages: 50, every: Duration::from_micros(100), longest: 3000 };
        let config = SimConfig::seeded(count);
        let mut sim = world(config, Choices::seeded(count), count, load, &oracle, flow);
        sim.run_until("all is delivered", Duration::from_secs(30), |sim| {
            sim.agents_of::<Member<Recorder>>().count() as u64 == count
                && sim
                    .agents_of::<Member<Recorder>>()
                    .all(|(_, member)| member.replica().index == 50 * count)
        })
        .unwrap();
        let oracle = oracle.lock().unwrap();
        assert_eq!(oracle.wrong, None);
        assert_eq!(oracle.views(), 1, "no view changes without a reason");
    }
}

#[test]
fn a_member_that_nobody_hears_for_a_while_is_not_left_behind() {
    let oracle = Shared::default();
    let load = Load { messages: 400, every: Duration::from_millis(10), longest: 100 };
    let mut sim = world(SimConfig::seeded(3), Choices::seeded(3), 3, load, &oracle, flow);
    let nodes = [1, 2, 3].map(dx_agents::NodeId);
    sim.run_for(Duration::from_millis(500)).unwrap();
    // What the third says reaches nobody; it hears all, and so sees no reason to complain.
    sim.clog(nodes[2], nodes[0], Duration::from_millis(900));
    sim.clog(nodes[2], nodes[1], Duration::from_millis(900));
    sim.run_until("all is delivered", Duration::from_secs(30), |sim| {
        sim.agents_of::<Member<Recorder>>().all(|(_, it)| it.replica().index == 1200)
    })
    .unwrap();
    assert_eq!(oracle.lock().unwrap().wrong, None);
    assert!(oracle.lock().unwrap().views() > 1);
}

#[test]
fn deliveries_go_on_within_a_second_of_anybodys_crash() {
    for victim in 1..=4 {
        let oracle = Shared::default();
        let load = Load { messages: 100_000, every: Duration::from_millis(2), longest: 100 };
        let mut sim = world(SimConfig::seeded(victim), Choices::seeded(1), 4, load, &oracle, flow);
        sim.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(oracle.lock().unwrap().views(), 1);
        sim.crash_node(dx_agents::NodeId(victim as u32));
        sim.run_until("they are in another view", Duration::from_secs(1), |_| {
            oracle.lock().unwrap().views() == 2
        })
        .unwrap();
        println!("victim {victim}: {:?}", sim.now().since(dx_agents::Instant(1_000_000_000)));
        assert_eq!(oracle.lock().unwrap().wrong, None);
    }
}
