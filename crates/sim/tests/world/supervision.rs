use std::time::Duration;

use dx_agents::runtime::Reason;
use dx_agents::{AgentId, Down, NodeId, Restart};
use dx_sim::{PANIC, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

#[test]
fn whoever_watches_hears_of_an_end_here_and_elsewhere() {
    for nodes in [&[1, 1][..], &[1, 2]] {
        for (word, why) in [(Word::Stop, Down::Stopped), (Word::Panic, Down::Panicked)] {
            let mut sim = world(SimConfig::seeded(3), diaries(nodes));
            sim.allow_panics();
            let port = sim.port();
            sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
            sim.run_for(SECOND).unwrap();
            sim.send(port, AgentId(2), word).unwrap();
            sim.run_for(SECOND).unwrap();
            assert_eq!(diary(&sim, 1).downs, [(AgentId(2), why)]);
            assert!(sim.agent::<crate::kinds::Diary>(AgentId(2)).is_none());
        }
    }
}

#[test]
fn where_agents_may_not_panic_the_run_fails_with_what_one_said() {
    let mut sim = world(SimConfig::seeded(3), diaries(&[1, 2]));
    let port = sim.port();
    sim.send(port, AgentId(2), Word::Panic).unwrap();
    let failure = sim.run_for(SECOND).unwrap_err();
    assert_eq!((failure.what.as_str(), failure.text.as_str()), (PANIC, "a2: as it was told"));
}

#[test]
fn whoever_watches_nobody_hears_so() {
    for who in [9, AgentId::dynamic(NodeId(2), 9).0] {
        let mut sim = world(SimConfig::seeded(3), diaries(&[1, 2]));
        let port = sim.port();
        sim.send(port, AgentId(1), Word::Watch(AgentId(who))).unwrap();
        sim.run_for(SECOND).unwrap();
        assert_eq!(diary(&sim, 1).downs, [(AgentId(who), Down::Unknown)]);
    }
}

#[test]
fn an_agent_that_panics_starts_anew_as_often_as_it_may() {
    let mut agents = diaries(&[1, 1]);
    let backoff = Duration::from_millis(10);
    agents[1].options.restart = Restart::OnFailure { max: 2, within: 10 * SECOND, backoff };
    let mut sim = world(SimConfig::seeded(3), agents);
    sim.allow_panics();
    let port = sim.port();
    sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
    for restarts in 1..=2 {
        sim.run_for(SECOND).unwrap();
        sim.send(port, AgentId(2), Word::Panic).unwrap();
        sim.run_for(SECOND).unwrap();
        assert_eq!(diary(&sim, 2).restarts, restarts);
    }
    sim.send(port, AgentId(2), Word::Panic).unwrap();
    sim.run_for(SECOND).unwrap();
    let whys: Vec<Down> = diary(&sim, 1).downs.iter().map(|(_, why)| *why).collect();
    assert_eq!(whys, [Down::Restarted, Down::Restarted, Down::Panicked]);
}

#[test]
fn what_waited_for_one_that_restarts_is_counted() {
    let mut agents = diaries(&[1, 1]);
    agents[1].options.restart = Restart::Always { backoff: Duration::from_millis(10) };
    let mut sim = world(SimConfig::seeded(3), agents);
    sim.allow_panics();
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(2), Word::Panic).unwrap();
    (0..5).for_each(|number| sim.send(port, AgentId(2), Word::Number(number)).unwrap());
    sim.run_for(SECOND).unwrap();
    assert_eq!(sim.dead_letters(Reason::Restarted), 5);
    assert!(diary(&sim, 2).numbers.is_empty());
}

#[test]
fn a_spawned_agent_is_reached_by_its_id() {
    let mut sim = world(SimConfig::seeded(3), diaries(&[1, 2]));
    let port = sim.port();
    sim.send(port, AgentId(2), Word::Spawn).unwrap();
    sim.run_for(SECOND).unwrap();
    let spawned = diary(&sim, 2).spawned[0];
    sim.send(port, spawned, Word::Number(7)).unwrap();
    sim.run_for(SECOND).unwrap();
    assert_eq!(diary(&sim, spawned.0).numbers, [(port.id(), 7)]);
}
