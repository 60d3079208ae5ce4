//! SIGSTOP: processes that stand still for less and for more than a lease, and go on.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::json;

use super::place::{Death, NODES, Place};
use super::processes;
use super::witness::Witness;

/// Nobody stands still for so long in these tests.
const LONG: &str = "1h";

/// The shortest that there is: these tests wait for its end.
const SHORT: &str = "5s";

/// What a shim notes at the end of its lease.
const OVER: &str = "the lease is over";

/// Tasks that run together on all nodes.
const TASKS: u64 = 6;

#[test]
fn whoever_stands_still_within_the_lease_loses_nothing() {
    let place = Place::start(LONG);
    for name in ["n1", "n3"] {
        let mut witness = Witness::submit(&place, 100);
        witness.wait_for_ends(10);
        place.signal_node(name, Signal::STOP);
        // What its shim was given goes on.
        witness.wait_for_ends(1);
        place.signal_node(name, Signal::CONT);
        witness.judge(&place, &[], &BTreeMap::new());
    }
}

#[test]
fn shims_whose_controller_stands_still_past_the_lease_kill_and_all_runs_again() {
    let place = Place::start(SHORT);
    let mut witness = Witness::held(&place, TASKS);
    let mut notes = NODES.map(|name| place.notes(name));
    let deaths = NODES.map(Death::now);
    place.signal_node("n1", Signal::STOP);
    for notes in &mut notes {
        notes.wait_for(OVER);
    }
    assert_eq!(witness.left(), [0_u32; 0], "a shim that notes this has killed all");
    place.signal_node("n1", Signal::CONT);
    witness.wait_for_starts(TASKS);
    witness.let_go();
    witness.judge(&place, &deaths, &BTreeMap::new());
}

#[test]
fn what_a_runner_ran_that_stands_still_past_the_lease_runs_elsewhere() {
    let place = Place::start(SHORT);
    let mut witness = Witness::held(&place, TASKS);
    let deaths = [Death::now("n3")];
    let there = witness.on(&place, 3);
    assert!(there > 0, "tasks are spread");
    place.signal_node("n3", Signal::STOP);
    witness.wait_for_starts(there);
    witness.let_go();
    let view = place.wait(witness.job);
    assert_eq!(view["state"], "succeeded", "without it");
    place.signal_node("n3", Signal::CONT);
    place.wait_for_work_on("n3");
    witness.judge(&place, &deaths, &BTreeMap::new());
}

#[test]
fn a_shim_that_wakes_after_its_lease_kills_first_and_the_overlap_is_told() {
    let place = Place::start(SHORT);
    let mark = place.folder("task").to_str().unwrap().to_owned();
    let job = place.submit(&json!({
        "commands": [{ "exec": ["sleep", "600"] }],
        "environment": { "MARK": mark },
        "constraints": [{ "label": "node", "operator": "ne", "value": "n1" }],
    }));
    let is_running = |number: usize| {
        move |task: &serde_json::Value| {
            let attempts = task["attempts"].as_array().unwrap();
            attempts.len() == number && task["state"] == "running"
        }
    };
    let task = place.wait_for_task(job, 0, is_running(1));
    let first = NODES[usize::try_from(task["attempts"][0]["node"].as_u64().unwrap()).unwrap() - 1];
    let mut notes = place.notes(first);
    place.signal_shim(first, Signal::STOP);
    place.wait_for_task(job, 0, is_running(2));
    let processes_of = |number: u32| {
        let all = processes::having(&format!("DX_ATTEMPT_ID={job}.0.{number}\0"));
        let here = processes::having(&mark);
        all.into_iter().filter(|pid| here.contains(pid)).count()
    };
    assert_eq!(processes_of(1), 1, "nobody can kill it while the shim is stopped");
    place.signal_shim(first, Signal::CONT);
    notes.wait_for(OVER);
    assert_eq!(processes_of(1), 0);
    assert_eq!(processes_of(2), 1, "the other goes on");
    let told = |task: &serde_json::Value| {
        let note = task["attempts"][0]["note"].as_str();
        note.is_some_and(|note| note.contains("may have run while the next attempt did"))
    };
    let task = place.wait_for_task(job, 0, told);
    assert_eq!(task["attempts"][0]["end"], "lost", "{task}");
    let (_, explained, _) = place.user.run(&["job", "explain", &format!("{job}.0")]);
    assert!(explained.contains("may have run while the next attempt did"), "{explained}");
    place.wait_for_work_on(first);
}
