//! Tasks that would outlive their end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::place::{Death, Place, follow};
use super::processes;
use super::witness::Witness;

/// Forks, leaves its session twice, clears its environment, and heeds nothing; its last argument is
/// all that it can be known by. What it started says when it is that far.
const DAEMON: &str = r#"
trap '' TERM INT HUP
setsid sh -c 'trap "" TERM INT HUP
    setsid env -i sh -c "trap \"\" TERM INT HUP
        echo daemon >> \"\$0\"
        while :; do sleep 0.1; done" "$0" &
    exit 0' "$0" &
wait
while :; do sleep 0.1; done
"#;

/// Runs it as a job of which more is said in `more`. Returns the job and what it is known by.
fn daemonise(place: &Place, more: Value) -> (u64, String) {
    let mark = place.user.file("daemons", "");
    let mut daemons = follow("--lines=+1", &mark);
    let mark = mark.to_str().unwrap().to_owned();
    let mut job = more;
    job["commands"] = json!([{ "exec": ["sh", "-c", DAEMON, mark] }]);
    job["kill"] = json!({ "grace": "100ms" });
    let job = place.submit(&job);
    daemons.wait_for("daemon");
    drop(daemons);
    assert!(processes::having(&mark).len() >= 2, "the task and its daemon run");
    (job, mark)
}

#[test]
fn cancelling_ends_what_forked_left_its_session_and_ignores_signals() {
    let place = Place::start("1h");
    let (job, mark) = daemonise(&place, json!({}));
    let (code, _, stderr) = place.user.run(&["job", "cancel", &job.to_string()]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.wait(job)["state"], "cancelled");
    assert_eq!(processes::having(&mark), [0_u32; 0], "an end is said when nothing is left");
}

#[test]
fn a_timeout_ends_what_forked_left_its_session_and_ignores_signals() {
    let place = Place::start("1h");
    // Long enough for it to have become a daemon, also where all is slow.
    let (job, mark) = daemonise(&place, json!({ "timeout": "5s" }));
    assert_eq!(place.wait(job)["counts"], json!({ "timed_out": 1 }));
    assert_eq!(processes::having(&mark), [0_u32; 0], "an end is said when nothing is left");
}

#[test]
fn a_shim_that_dies_leaves_no_daemon_to_the_next() {
    let place = Place::start("1h");
    let (job, mark) = daemonise(&place, json!({ "retry": { "max_node_faults": 0 } }));
    for name in super::place::NODES {
        place.kill_shim(name);
    }
    assert_eq!(place.wait(job)["counts"], json!({ "lost": 1 }));
    assert_eq!(processes::having(&mark), [0_u32; 0], "what is lost is dead");
}

#[test]
fn what_a_dead_node_ran_runs_once_more_on_another() {
    let mut place = Place::start("5s");
    let mut witness = Witness::held(&place, 6);
    let there = witness.on(&place, 3);
    assert!(there > 0, "tasks are spread");
    let recorded = BTreeMap::new();
    place.kill_node("n3");
    let death: Death = place.kill_shim("n3");
    witness.wait_for_starts(there);
    witness.let_go();
    witness.judge(&place, &[death], &recorded);
    for task in place.tasks(witness.job) {
        let nodes: Vec<_> =
            task["attempts"].as_array().unwrap().iter().map(|it| &it["node"]).collect();
        assert!(nodes.len() == 1 || (nodes.len() == 2 && nodes[0] == 3 && nodes[1] != 3), "{task}");
    }
}
