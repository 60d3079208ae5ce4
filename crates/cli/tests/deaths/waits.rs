//! Tasks that submit tasks and wait for them, in a tree that is deeper than its node has slots.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::place::Place;

/// Far longer than anything here is away.
const LEASE: &str = "1h";

/// Levels of the tree. Each task needs all processors of its node.
const DEPTH: u64 = 8;

/// Notes that it begins, calls the next level and waits for it, notes that it ends. The last one
/// waits until it may.
const SCRIPT: &str = r#"
echo "begin $1 $DX_ATTEMPT" >> "$NOTES/log"
if [ "$1" = 0 ]; then
    until [ -e "$NOTES/go" ]; do sleep 0.05; done
else
    "$DX" job submit --node n3 --cpus 4 -e DX -e NOTES -e SCRIPT -e XDG_STATE_HOME -- \
        sh -c "$SCRIPT" sh $(($1 - 1)) && "$DX" job wait last || exit 9
fi
echo "end $1" >> "$NOTES/log"
"#;

fn tree(place: &Place) -> u64 {
    place.submit(&json!({
        "commands": [{ "exec": ["sh", "-c", SCRIPT, "sh", DEPTH.to_string()] }],
        "constraints": [{ "label": "node", "value": "n3" }],
        "resources": { "cpus": 4 },
        "environment": {
            "DX": env!("CARGO_BIN_EXE_dx"),
            "SCRIPT": SCRIPT,
            "NOTES": notes(place),
            "XDG_STATE_HOME": notes(place),
        },
    }))
}

/// Where notes are, which is above all that the cluster keeps.
fn notes(place: &Place) -> PathBuf {
    place.user.home().parent().unwrap().to_owned()
}

fn log(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(notes(place).join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until the deepest task runs: all above it are blocked.
fn wait_for_the_deepest(place: &Place, root: u64) -> u64 {
    let last = root + DEPTH;
    place.wait_for_task(root, 0, |task| task["state"] == "blocked");
    let is_there = || place.get("/v1/jobs")["jobs"].as_array().unwrap().len() as u64 > DEPTH;
    while !is_there() {
        let jobs = place.get("/v1/jobs");
        let newest = jobs["jobs"][0]["id"].as_u64().unwrap();
        place.wait_for_task(newest, 0, |task| task["state"] == "blocked" || newest == last);
    }
    place.wait_for_task(last, 0, |task| task["state"] == "running");
    last
}

#[test]
fn a_tree_deeper_than_its_nodes_slots_ends_though_its_node_and_the_controllers_are_killed() {
    let mut place = Place::start(LEASE);
    let root = tree(&place);
    wait_for_the_deepest(&place, root);
    for victims in [vec!["n1"], vec!["n3"], vec!["n1", "n3"]] {
        for victim in &victims {
            place.kill_node(victim);
        }
        place.start_nodes(&victims);
    }
    fs::write(notes(&place).join("go"), "").unwrap();
    assert_eq!(place.wait(root)["state"], "succeeded");
    let begun = (0..=DEPTH).rev().map(|level| format!("begin {level} 1"));
    let ended = (0..=DEPTH).map(|level| format!("end {level}"));
    assert_eq!(log(&place), begun.chain(ended).collect::<Vec<_>>(), "each once, in this order");
}

#[test]
fn a_blocked_tree_is_cancelled_with_all_its_processes() {
    let place = Place::start(LEASE);
    let root = tree(&place);
    let last = wait_for_the_deepest(&place, root);
    let cancelled = place.post("/v1/cancel", &json!({ "what": [root.to_string()] }));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    for job in root..=last {
        assert_eq!(place.wait(job)["state"], "cancelled", "job {job}");
    }
    let used = place.get("/v1/nodes")["nodes"][2]["used"].clone();
    assert_eq!(used["cpus"].as_f64(), Some(0.0));
    let is_end = |line: &String| line.starts_with("end");
    assert!(!log(&place).iter().any(is_end));
}
