//! The first view, and members that die around it.

use std::time::Duration;

use dx_agents::NodeId;
use dx_ring::Member;
use dx_sim::{Choices, Delay, SimConfig};

use super::oracle::Shared;
use super::recorder::{Load, Recorder, flow, world};

const LOAD: Load = Load { messages: 20, every: Duration::from_millis(1), longest: 100 };

/// Found with seed 1575: the founding view was delivered before anybody had written down that
/// there was one, and so was founded again.
#[test]
fn what_was_founded_is_not_founded_again_whenever_all_die() {
    for seed in 0..60 {
        let oracle = Shared::default();
        let mut config = SimConfig::seeded(seed);
        config.machine.sync = Delay::Between(Duration::from_millis(1), Duration::from_millis(40));
        let mut sim = world(config, Choices::seeded(seed), 3, LOAD, &oracle, flow);
        sim.run_until("somebody installs a view", Duration::from_secs(10), |sim| {
            let mut members = sim.agents_of::<Member<Recorder>>();
            members.any(|(_, it)| it.core().is_some_and(|core| core.view().is_some()))
        })
        .unwrap();
        sim.run_for(Duration::from_micros(700 * seed)).unwrap();
        for node in [1, 2, 3].map(NodeId) {
            sim.crash_node(node);
            sim.restart_node(node, Duration::from_millis(30));
        }
        sim.run_for(Duration::from_secs(2)).unwrap();
        assert_eq!(oracle.lock().unwrap().wrong, None, "seed {seed}");
    }
}

/// Without a journal, whoever restarts cannot know that it ever was a member; with one that lives
/// on, the others do.
#[test]
fn without_a_journal_one_member_may_still_forget() {
    let oracle = Shared::default();
    let mut config = SimConfig::seeded(1);
    config.machine.has_disk = false;
    let mut sim = world(config, Choices::seeded(1), 3, LOAD, &oracle, flow);
    for victim in [3, 1, 2].map(NodeId) {
        let before = oracle.lock().unwrap().top();
        sim.run_until("they go on", Duration::from_secs(10), |_| {
            let oracle = oracle.lock().unwrap();
            oracle.top() >= before + 20 && oracle.wrong.is_none()
        })
        .unwrap();
        sim.run_for(Duration::from_secs(2)).unwrap();
        sim.crash_node(victim);
        sim.restart_node(victim, Duration::from_millis(30));
    }
    sim.run_for(Duration::from_secs(2)).unwrap();
    assert_eq!(oracle.lock().unwrap().wrong, None);
}
