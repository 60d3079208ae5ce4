//! What tasks bring with them and print, and what nodes have too little of.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::place::{NODES, Place};
use super::small_disk::SmallDisk;
use super::terminal::User;
use super::witness::Witness;
use super::world::Got;

/// Bytes that a task prints, and those that are kept of them.
const PRINTED: u64 = 200_000_000;
const KEPT: u64 = 3_000_000;

#[test]
fn an_environment_is_literal_and_in_no_nodes_log() {
    let mut place = Place::start("1h");
    let secret = "s3cr3t-of-the-job";
    let value = format!("{secret} \"it's\" $(id) `id` ${{HOME}} \\\n second line; exit 3");
    let variable = format!("VALUE={value}");
    let print = ["run", "--env", &variable, "--", "printenv", "VALUE"];
    let (code, stdout, stderr) = place.user.run(&print);
    assert_eq!((code, stdout), (0, format!("{value}\n")), "{stderr}");
    let (code, token, stderr) = place.user.run(&["token", "create", "--cluster", "jobs", "ann"]);
    assert_eq!(code, 0, "{stderr}");
    // Also what goes wrong is told without it.
    let wrong = ["run", "--env", &variable, "--", "/nowhere/is/it"];
    assert_ne!(place.user.run(&wrong).0, 0);
    for name in NODES {
        let notes = fs::read_to_string(place.folder(name).join("shim/notes")).unwrap();
        let said = place.stop(name).join("\n") + &notes;
        assert!(!said.is_empty() && !said.contains(secret), "{said}");
        assert!(!said.contains(token.trim()), "{said}");
    }
}

#[test]
fn output_without_end_or_line_is_kept_to_its_bound_and_counted() {
    let place = Place::start("1h");
    // Each piece of eight bytes says where it is.
    let script = r"import sys, struct
for first in range(0, int(sys.argv[1]) // 8, 100000):
    sys.stdout.buffer.write(struct.pack('>100000Q', *range(first, first + 100000)))";
    let (bound, printed) = (format!("{KEPT}B"), PRINTED.to_string());
    let arguments = ["run", "--max-output", &bound, "--", "python3", "-c", script, &printed];
    let output = place.user.command(&arguments).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let expected: Vec<u8> = (0..KEPT / 8).flat_map(u64::to_be_bytes).collect();
    assert!(output.stdout == expected, "{} bytes: {stderr}", output.stdout.len());
    assert!(stderr.contains(&(PRINTED - KEPT).to_string()), "{stderr}");
    let finish = &place.get("/v1/jobs/1/tasks/0")["attempts"][0]["finish"];
    assert_eq!((&finish["printed"], &finish["kept"]), (&json!(PRINTED), &json!(KEPT)));
}

/// Runs so many tasks, as many at a time as fit in hundredths of a processor.
fn with_few_descriptors(tasks: u64) {
    let place = Place::start_under(User::new(), "ulimit -n 256", "1h");
    let job = place.submit(&json!({
        "commands": [{ "exec": ["true"] }], "array": format!("0-{}", tasks - 1),
        "resources": { "cpus": 0.01 },
    }));
    assert_eq!(place.wait(job)["counts"], json!({ "succeeded": tasks }));
    for task in place.tasks(job) {
        assert_eq!(task["attempts"].as_array().unwrap().len(), 1, "{task}");
    }
}

#[test]
fn with_few_descriptors_tasks_wait_and_none_fails() {
    with_few_descriptors(500);
}

#[test]
#[ignore = "takes long: 5,000 tasks"]
fn with_few_descriptors_thousands_of_tasks_wait_and_none_fails() {
    with_few_descriptors(5_000);
}

/// Nodes on a disk that is small.
fn on_a_small_disk(lease: &str) -> Option<(SmallDisk, Place)> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: only root can mount a small disk");
        return None;
    }
    let user = User::new();
    let disk = SmallDisk::mount(user.home());
    Some((disk, Place::start_under(user, ":", lease)))
}

/// Submits what takes room until the controller's journal has none. Returns the jobs that were
/// taken, and what was said of the last, after ten seconds.
fn submit_until_full(place: &Place, large: &Value) -> (Vec<u64>, Got) {
    let mut taken = Vec::new();
    loop {
        let got = place.post("/v1/jobs", large);
        if got.status != 201 {
            return (taken, got);
        }
        taken.push(got.json()["job"].as_u64().unwrap());
        assert!(taken.len() < 1_000, "it is never full");
    }
}

/// A job that never runs.
fn large() -> Value {
    json!({
        "commands": [{ "exec": ["true"] }], "hold": true,
        "environment": { "BALLAST": "x".repeat(100_000) },
    })
}

#[test]
fn what_runs_outlives_a_disk_that_is_full_for_longer_than_a_lease() {
    let Some((disk, place)) = on_a_small_disk("5s") else { return };
    let witness = Witness::held(&place, 6);
    let lives = NODES.map(|name| place.shim(name));
    disk.fill();
    // That there was no answer took twice as long as a lease.
    let (_, unsure) = submit_until_full(&place, &large());
    assert_eq!(unsure.status, 503, "{unsure:?}");
    disk.free();
    witness.let_go();
    witness.judge(&place, &[], &BTreeMap::new());
    assert_eq!(NODES.map(|name| place.shim(name)), lives);
}

#[test]
fn a_full_disk_refuses_work_and_loses_nothing_that_was_taken() {
    let Some((disk, mut place)) = on_a_small_disk("1h") else { return };
    disk.fill();
    let large = large();
    let (taken, unsure) = submit_until_full(&place, &large);
    assert_eq!((unsure.status, unsure.code().as_str()), (503, "controller_silent"));
    assert!(unsure.body.contains("its disk is full") && unsure.body.contains("may have been done"));
    let refused = place.post("/v1/jobs", &large);
    assert_eq!((refused.status, refused.code().as_str()), (507, "disk_full"), "{refused:?}");
    disk.free();
    // Each turn waits for an answer until there is room, or for ten seconds.
    let is_back = (0..30).any(|_| place.get_from("n1", "/v1/jobs?limit=1").status == 200);
    assert!(is_back, "there is room");
    place.wait_for_work_on("n1");
    place.kill_node("n1");
    place.start_nodes(&["n1"]);
    for job in taken {
        assert_eq!(place.get(&format!("/v1/jobs/{job}"))["state"], "held");
    }
}
