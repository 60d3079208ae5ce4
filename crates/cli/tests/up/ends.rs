//! Nodes that die, and nodes that are stopped.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::terminal::{Program, User, heard, signal_to, wait_for_greeting};

/// Waits for an event of `dx up --json`.
fn event(up: &mut Program, event: &str, node: &str) -> Value {
    up.find(event, |line| {
        let value: Value = serde_json::from_str(line).ok()?;
        (value["event"] == event && value["node"] == node).then_some(value)
    })
}

#[test]
fn a_killed_node_is_started_again_and_nothing_is_heard_twice() {
    let user = User::new();
    let file = user.ping("5");
    let mut up = user.start(&["up", file.to_str().unwrap(), "--json"]);
    let pid = event(&mut up, "started", "n1")["pid"].as_u64().unwrap();
    wait_for_greeting(&mut up, 2, 20);
    signal_to(u32::try_from(pid).unwrap(), Signal::KILL);
    let ended = event(&mut up, "ended", "n1");
    assert_eq!(ended["how"], "was killed by SIGKILL");
    event(&mut up, "restarting", "n1");
    event(&mut up, "ready", "n1");
    let last = heard(up.seen())[&2].last().copied().unwrap();
    wait_for_greeting(&mut up, 2, last + 20);
    let last = heard(up.seen())[&3].last().copied().unwrap();
    wait_for_greeting(&mut up, 3, last + 20);
    let (code, lines) = up.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("n1 restarted")), "{lines:#?}");
    for (from, numbers) in heard(&lines) {
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "from {from}: {numbers:?}");
        let missing = numbers.last().unwrap() + 1 - numbers.len() as u64;
        let lost = lost(&lines, from);
        assert!(
            lost >= missing,
            "{missing} of {from} are missing, and {lost} reported: {lines:#?}"
        );
    }
}

/// What a ping says at its end that it lost.
fn lost(lines: &[String], agent: u64) -> u64 {
    let report =
        lines.iter().rfind(|l| l.contains(&format!("Ping agent {agent}: ")) && l.contains(" sent"));
    let report = report.unwrap_or_else(|| panic!("agent {agent} did not report: {lines:#?}"));
    let (before, _) = report.split_once(" lost").unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn down_stops_one_node_or_all_and_up_notices() {
    let user = User::new();
    let file = user.ping("20");
    let mut up = user.start(&["up", file.to_str().unwrap()]);
    up.wait_for("is ready: 3 nodes");
    let (code, stdout, stderr) = user.run(&["down", "n3"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.starts_with("n3 stopped (pid "), "{stdout}");
    up.wait_for("dx: n3 stopped");
    let (code, _, stderr) = user.run(&["down", "n33"]);
    assert_eq!(code, 2);
    assert_eq!(stderr, "dx: cluster `ping` has no node `n33` here; did you mean `n3`?\n");
    let stopped = user.json(&["down"]);
    let names: Vec<_> = stopped.as_array().unwrap().iter().map(|node| &node["node"]).collect();
    assert_eq!(names, ["n1", "n2"], "{stopped}");
    assert!(stopped.as_array().unwrap().iter().all(|node| node["stopped"] == true), "{stopped}");
    let (status, lines) = up.end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "dx: cluster ping has stopped"), "{lines:#?}");
}

#[test]
fn the_second_ctrl_c_kills_what_does_not_stop() {
    let user = User::new();
    let file = user.ping("20");
    let mut up = user.start(&["up", file.to_str().unwrap(), "--json"]);
    let pid = event(&mut up, "started", "n2")["pid"].as_u64().unwrap();
    up.find("cluster_ready", |line| line.contains("cluster_ready").then_some(()));
    // A process that is stopped takes no signal but one.
    signal_to(u32::try_from(pid).unwrap(), Signal::STOP);
    up.signal(Signal::INT);
    up.find("stopping", |line| line.contains(r#""event":"stopping""#).then_some(()));
    up.signal(Signal::INT);
    let ended = event(&mut up, "ended", "n2");
    assert_eq!(ended["how"], "was killed by SIGKILL");
    let (status, lines) = up.end();
    assert_eq!(status.code(), Some(130), "{lines:#?}");
}

#[test]
fn a_node_whose_folder_or_lock_is_gone_ends_and_says_so() {
    let remove = |folder: &Path| while fs::remove_dir_all(folder).is_err() {};
    let away = |folder: &Path| fs::rename(folder, folder.with_file_name("away")).unwrap();
    let unlock = |folder: &Path| fs::remove_file(folder.join("lock")).unwrap();
    let ways: [&dyn Fn(&Path); 3] = [&remove, &away, &unlock];
    for go in ways {
        let user = User::new();
        let file = user.ping("20");
        let mut node = user.start(&["node", file.to_str().unwrap(), "--id", "1"]);
        node.wait_for("listens at");
        go(&user.home().join("ping/n1"));
        node.wait_for("its folder was removed, or the lock in it");
        let (status, lines) = node.end();
        assert_eq!(status.code(), Some(1), "{lines:#?}");
    }
}

#[test]
fn a_node_goes_on_whatever_else_is_removed_from_its_folder() {
    let user = User::new();
    let file = user.ping("20");
    let mut node = user.start(&["node", file.to_str().unwrap(), "--id", "1"]);
    node.wait_for("listens at");
    fs::write(user.home().join("ping/n1/odd"), "").unwrap();
    fs::remove_file(user.home().join("ping/n1/odd")).unwrap();
    let (code, lines) = node.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
}
