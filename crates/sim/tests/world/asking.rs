use dx_agents::{AgentId, AskError, Down, NodeId, RefusedBecause};
use dx_sim::{Delay, Heard, SimConfig};

use crate::kinds::{SECOND, Word, diaries, diary, world};

#[test]
fn a_question_is_answered_here_and_elsewhere() {
    for nodes in [&[1, 1][..], &[1, 2]] {
        let mut sim = world(SimConfig::seeded(1), diaries(nodes));
        let port = sim.port();
        sim.send(port, AgentId(1), Word::Question(2)).unwrap();
        sim.run_for(SECOND).unwrap();
        assert_eq!(diary(&sim, 1).answers, [Ok(3)]);
    }
}

#[test]
fn a_port_asks_and_hears_the_answer() {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1]));
    let port = sim.port();
    let ask = sim.ask(port, AgentId(1), Word::Question(41), SECOND);
    sim.run_for(SECOND).unwrap();
    let Some(Heard::Reply(heard, Ok(answer))) = sim.heard(port) else { panic!("no answer") };
    assert_eq!((heard, answer.open::<Word>().unwrap()), (ask, Word::Question(42)));
    assert!(sim.heard(port).is_none(), "it is answered once");
}

#[test]
fn when_all_is_mended_messages_take_as_long_as_they_are_configured_to() {
    let mut config = SimConfig::seeded(1);
    config.network.delay = Delay::Fixed(SECOND);
    let mut sim = world(config, diaries(&[1]));
    sim.torment(SECOND, 1).unwrap();
    sim.run_for(60 * SECOND).unwrap();
    let port = sim.port();
    sim.ask(port, AgentId(1), Word::Question(41), 60 * SECOND);
    sim.run_for(2 * SECOND).unwrap();
    assert!(sim.heard(port).is_none(), "it takes a second there, and one back");
    sim.run_for(SECOND).unwrap();
    assert!(matches!(sim.heard(port), Some(Heard::Reply(_, Ok(_)))));
}

#[test]
fn a_question_to_nobody_is_refused_and_one_to_the_silent_times_out() {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2]));
    let port = sim.port();
    sim.run_for(SECOND).unwrap();
    // 77 is nobody; 2 does not hear of it in time.
    sim.cut(NodeId(1), NodeId(2));
    sim.send(port, AgentId(1), Word::Question(77)).unwrap();
    sim.send(port, AgentId(1), Word::Question(2)).unwrap();
    sim.run_for(2 * SECOND).unwrap();
    let mut answers = diary(&sim, 1).answers.clone();
    answers.sort_by_key(|answer| format!("{answer:?}"));
    let unknown = Err(AskError::Refused(RefusedBecause::Unknown));
    assert_eq!(answers, [unknown, Err(AskError::Timeout)]);
}

#[test]
fn a_question_to_one_who_stops_is_ended_with_it() {
    for nodes in [&[1, 1][..], &[1, 2]] {
        let mut sim = world(SimConfig::seeded(1), diaries(nodes));
        sim.run_for(SECOND).unwrap();
        // It handles one message at a time, so the question waits behind its end.
        sim.slow_node(NodeId(nodes[1]), 10_000);
        let port = sim.port_on(NodeId(nodes[1]));
        let asker = sim.port_on(NodeId(nodes[0]));
        sim.send(port, AgentId(2), Word::Stop).unwrap();
        sim.ask(asker, AgentId(2), Word::Question(2), 3 * SECOND);
        sim.run_for(SECOND).unwrap();
        let heard = sim.heard(asker);
        let down = Err::<(), _>(AskError::Down(Down::Stopped));
        let unknown = Err(AskError::Refused(RefusedBecause::Unknown));
        let Some(Heard::Reply(_, answer)) = heard else { panic!("{heard:?}") };
        let answer = answer.map(drop);
        assert!(answer == down || answer == unknown, "{answer:?}");
    }
}
