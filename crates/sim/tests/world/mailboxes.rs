use dx_agents::runtime::Reason;
use dx_agents::{AgentId, NodeId, RefusedBecause, WhenFull};
use dx_sim::{Sim, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

/// Agent 1 floods agent 2, whose mailbox holds ten.
fn flooded(full: WhenFull, count: u64) -> Sim {
    let mut agents = diaries(&[1, 1]);
    agents[1].options.mailbox.messages = 10;
    agents[1].options.mailbox.full = full;
    let mut sim = world(SimConfig::seeded(1), agents);
    let port = sim.port();
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), count)).unwrap();
    sim.run_for(SECOND).unwrap();
    sim
}

fn numbers(sim: &Sim) -> Vec<u64> {
    diary(sim, 2).numbers.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_full_mailbox_refuses_and_says_when_there_is_room() {
    let sim = flooded(WhenFull::Refuse, 15);
    assert_eq!(numbers(&sim), (0..10).collect::<Vec<_>>());
    let refused = &diary(&sim, 1).refused;
    assert_eq!((refused.len(), refused[0].count, refused[0].why), (1, 5, RefusedBecause::Full));
    assert_eq!(diary(&sim, 1).writable, [AgentId(2)]);
    assert_eq!(sim.dead_letters(Reason::Refused), 5);
}

#[test]
fn a_full_mailbox_drops_the_newest_or_the_oldest_and_counts_them() {
    let newest = flooded(WhenFull::DropNewest, 15);
    assert_eq!(numbers(&newest), (0..10).collect::<Vec<_>>());
    let oldest = flooded(WhenFull::DropOldest, 15);
    assert_eq!(numbers(&oldest), (5..15).collect::<Vec<_>>());
    for sim in [newest, oldest] {
        assert_eq!(sim.dead_letters(Reason::MailboxFull), 5);
        assert!(diary(&sim, 1).refused.is_empty());
    }
}

#[test]
fn a_node_without_credit_fills_its_outbox_and_is_then_refused() {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    sim.pause_node(NodeId(2), SECOND);
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 500)).unwrap();
    sim.run_for(SECOND / 2).unwrap();
    // 64 may be sent to one who never was, and 256 wait.
    let refused: u64 = diary(&sim, 1).refused.iter().map(|refusal| refusal.count).sum();
    assert_eq!(refused, 500 - 64 - 256);
    assert_eq!(sim.credit_waits()[0].messages, 256);
    assert!(diary(&sim, 1).writable.is_empty());
    sim.run_for(SECOND).unwrap();
    assert_eq!(numbers(&sim), (0..320).collect::<Vec<_>>());
    assert_eq!(diary(&sim, 1).writable, [AgentId(2)]);
    assert!(sim.credit_waits().is_empty());
}

#[test]
fn what_waited_for_a_node_has_room_in_its_next_life_whatever_clients_came_meanwhile() {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 1)).unwrap();
    sim.run_for(SECOND).unwrap();
    sim.crash_node(NodeId(2));
    // Until the link is given up: what is sent then has not left.
    sim.run_for(5 * SECOND).unwrap();
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 200)).unwrap();
    for _ in 0..20 {
        sim.port();
    }
    sim.restart_node(NodeId(2), SECOND);
    sim.run_for(10 * SECOND).unwrap();
    assert_eq!(numbers(&sim), (0..200).collect::<Vec<_>>());
    assert!(diary(&sim, 1).refused.is_empty());
}
