//! What a diagram has in it, and what it leaves out.

use std::time::Duration;

use dx_agents::NodeId;
use dx_sim::explain::MAX_ROWS;
use dx_sim::history::History;
use dx_sim::linear::{Register, RegisterInput, RegisterOutput};

use crate::keeper::{STRANGER, fail, keep, run, world};

#[test]
fn who_has_nothing_to_do_with_it_is_not_in_it() {
    let mut sim = world();
    sim.keep_story();
    let port = sim.port();
    keep(&mut sim, port, 5);
    run(&mut sim, 3);
    sim.crash_node(NodeId(2));
    let failure = fail(&mut sim);
    let explanation = sim.explain(&failure).unwrap();
    assert!(explanation.lanes.iter().all(|lane| lane.agent != STRANGER));
    assert!(explanation.unrelated >= 3, "the timers of the stranger: {explanation}");
    assert_eq!(explanation.earlier, 0);
    assert!(explanation.to_string().contains("Keep { number: 5, note: \"number 5\" }"));
}

#[test]
fn a_long_run_is_cut_to_its_end_and_says_by_how_much() {
    let mut sim = world();
    sim.keep_story();
    let port = sim.port();
    for number in 0..50 {
        keep(&mut sim, port, number);
        run(&mut sim, 10);
    }
    sim.cut(NodeId(1), NodeId(2));
    keep(&mut sim, port, 50);
    run(&mut sim, 10);
    let failure = fail(&mut sim);
    let explanation = sim.explain(&failure).unwrap();
    assert_eq!(explanation.rows.len(), MAX_ROWS);
    assert!(explanation.earlier > 100);
    let text = explanation.to_string();
    assert!(text.contains(&format!("left out: {} earlier events", explanation.earlier)));
    assert!(text.contains("Copy(50) and 1 more: not handled until"), "{text}");
}

#[test]
fn what_is_lost_with_who_was_to_have_it_can_be_read() {
    let mut sim = world();
    sim.keep_story();
    let port = sim.port();
    run(&mut sim, 5);
    sim.crash_node(NodeId(2));
    keep(&mut sim, port, 5);
    run(&mut sim, 20);
    let failure = fail(&mut sim);
    let text = sim.explain(&failure).unwrap().to_string();
    assert!(text.contains("Copy(5)"), "{text}");
    assert!(!text.contains("a message of"), "{text}");
}

#[test]
fn a_story_changes_nothing_in_the_run() {
    let hash = |with_story: bool| {
        let mut sim = world();
        if with_story {
            sim.keep_story();
        }
        let port = sim.port();
        keep(&mut sim, port, 5);
        run(&mut sim, 2);
        sim.crash_node(NodeId(2));
        sim.restart_node(NodeId(2), Duration::from_millis(1));
        run(&mut sim, 5000);
        assert_eq!(sim.story().is_some(), with_story);
        sim.trace().hash()
    };
    assert_eq!(hash(true), hash(false));
}

#[test]
fn a_run_without_a_story_is_not_explained() {
    let mut sim = world();
    run(&mut sim, 5);
    sim.crash_node(NodeId(2));
    let failure = fail(&mut sim);
    assert_eq!(sim.explain(&failure), None);
}

#[test]
fn what_is_not_linearizable_is_shown_with_its_operations() {
    let mut sim = world();
    sim.keep_story();
    run(&mut sim, 1);
    let mut history = History::new();
    let write = history.call(0, 10, RegisterInput::Write(1));
    history.answer(write, 20, RegisterOutput::Written);
    let read = history.call(1, 30, RegisterInput::Read);
    history.answer(read, 40, RegisterOutput::Value(0));
    let register = Register { initial: 0 };
    let failure = sim.must_be_linearizable("a register", &register, &history, 1000).unwrap_err();
    for drawn in [sim.explain(&failure).unwrap().to_string(), sim.explain(&failure).unwrap().svg()]
    {
        assert!(drawn.contains("Read -") && drawn.contains("the last answer"), "{drawn}");
    }
}
