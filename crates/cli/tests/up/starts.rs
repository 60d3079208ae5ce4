//! Starting, in whatever order and by whatever means.

use std::fs::File;

use rustix::process::Signal;

use super::terminal::{Program, User, greeting, heard, wait_for_greeting};

/// Every order of three, each transport twice.
const ORDERS: [(&str, [&str; 3]); 6] = [
    ("tcp", ["1", "2", "3"]),
    ("tls", ["1", "3", "2"]),
    ("quic", ["2", "1", "3"]),
    ("tcp", ["2", "3", "1"]),
    ("tls", ["3", "1", "2"]),
    ("quic", ["3", "2", "1"]),
];

#[test]
fn nodes_by_hand_find_each_other_in_every_order_over_every_transport() {
    for (transport, order) in ORDERS {
        let user = User::new();
        let file = user.ping("20");
        let file = file.to_str().unwrap();
        let mut nodes: Vec<(&str, Program)> = order
            .into_iter()
            .map(|id| {
                let mut node = user.start(&["node", file, "--my-id", id, "--transport", transport]);
                // The next one starts when this one certainly was there before.
                node.wait_for("listens at");
                (id, node)
            })
            .collect();
        let echo = nodes.iter_mut().find(|(id, _)| *id == "1").map(|(_, node)| node).unwrap();
        echo.wait_for("is ready: 2 links, 1 agent");
        for from in [2, 3] {
            let enough = heard_so_far(echo, from) + 5;
            wait_for_greeting(echo, from, enough);
        }
        let (_, echo) = nodes.swap_remove(nodes.iter().position(|(id, _)| *id == "1").unwrap());
        let (code, lines) = echo.interrupt();
        assert_eq!(code, Some(130), "{lines:#?}");
        for (from, numbers) in heard(&lines) {
            let expected: Vec<u64> = (0..numbers.len() as u64).collect();
            assert_eq!(numbers, expected, "{transport}, {order:?}: from {from}");
        }
    }
}

fn heard_so_far(program: &Program, from: u64) -> u64 {
    program
        .seen()
        .iter()
        .filter_map(|line| greeting(line))
        .filter(|(agent, _)| *agent == from)
        .count() as u64
}

#[test]
fn up_starts_all_and_ctrl_c_stops_all_over_every_transport() {
    for transport in ["tcp", "tls", "quic"] {
        let user = User::new();
        let file = user.ping("20");
        let mut up = user.start(&["up", file.to_str().unwrap(), "--transport", transport]);
        let ready = up.wait_for("is ready: 3 nodes");
        assert!(ready.starts_with("dx: cluster ping is ready: 3 nodes, 3 agents, in "), "{ready}");
        for from in [2, 3] {
            let enough = heard_so_far(&up, from) + 3;
            wait_for_greeting(&mut up, from, enough);
        }
        let (code, lines) = up.interrupt();
        assert_eq!(code, Some(130), "{lines:#?}");
        assert!(
            lines.iter().any(|line| line.starts_with("dx: stopped 3 nodes of cluster ping")),
            "{lines:#?}"
        );
        for (from, numbers) in heard(&lines) {
            let expected: Vec<u64> = (0..numbers.len() as u64).collect();
            assert_eq!(numbers, expected, "{transport}: from {from}");
        }
        let said =
            lines.iter().any(|line| line.contains("Ping agent 2:") && line.contains("RTT min"));
        assert!(said, "no report at the end: {lines:#?}");
        assert!(
            lines.iter().all(|line| ["n1 | ", "n2 | ", "n3 | ", "dx: "]
                .contains(&&line[..line.len().min(5)])
                || line.starts_with("dx: ")),
            "{lines:#?}"
        );
        let (code, _, stderr) = user.run(&["status"]);
        assert_eq!((code, stderr.contains("no cluster runs here")), (1, true), "{stderr}");
    }
}

#[test]
fn a_detached_cluster_is_taken_over_and_stopped() {
    let user = User::new();
    let file = user.ping("20");
    let file = file.to_str().unwrap();
    let (code, _, stderr) = user.run(&["up", file, "--detach"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("left running"), "{stderr}");
    let mut up = user.start(&["up", file]);
    for _ in 0..3 {
        up.wait_for("taken over");
    }
    up.wait_for("is ready: 3 nodes");
    up.wait_for("Hello #");
    let (code, lines) = up.interrupt();
    assert_eq!(code, Some(130));
    assert!(lines.iter().any(|line| line.starts_with("dx: stopped 3 nodes")), "{lines:#?}");
}

#[test]
fn a_killed_up_leaves_its_nodes_and_the_next_one_takes_them_over() {
    let user = User::new();
    let file = user.ping("20");
    let file = file.to_str().unwrap();
    let mut first = user.start(&["up", file]);
    first.wait_for("is ready: 3 nodes");
    for from in [2, 3] {
        wait_for_greeting(&mut first, from, 3);
    }
    first.signal(Signal::KILL);
    let (_, before) = first.end();
    let pids = |status: &serde_json::Value| {
        let nodes = status["nodes"].as_array().unwrap().iter();
        nodes.map(|node| node["pid"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let running = pids(&user.json(&["status"]));
    assert_eq!(running.len(), 3);
    let mut second = user.start(&["up", file]);
    second.wait_for("is ready: 3 nodes");
    assert_eq!(pids(&user.json(&["status"])), running, "nodes were started anew");
    for from in [2, 3] {
        let last = heard(&before)[&from].last().copied().unwrap();
        wait_for_greeting(&mut second, from, last + 1);
    }
    let (code, lines) = second.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
    let (heard_before, heard_after) = (heard(&before), heard(&lines));
    for from in [2, 3] {
        let (before, after) = (&heard_before[&from], &heard_after[&from]);
        assert!(after.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{after:?}");
        assert!(before.last() < after.first(), "{before:?} {after:?}");
    }
}

#[test]
fn a_full_log_is_put_aside_and_followed_all_the_same() {
    let user = User::new();
    let file = user.ping("20");
    let file = file.to_str().unwrap();
    // Makes the nodes' folders.
    user.run(&["up", file, "--detach"]);
    user.run(&["down"]);
    let log = user.home().join("ping/n1/log");
    let full = File::options().append(true).open(&log).unwrap();
    full.set_len(FULL).unwrap();
    let mut up = user.start(&["up", file]);
    up.wait_for("is ready: 3 nodes");
    up.wait_for("received from agent 2: Hello #");
    let (_, lines) = up.interrupt();
    assert!(lines.iter().any(|line| line == "n1 | dx: node n1 stopped"), "{lines:#?}");
    assert!(std::fs::metadata(log.with_extension("old")).unwrap().len() >= FULL);
    assert!(std::fs::metadata(&log).unwrap().len() < FULL);
}

/// The size of a log that is full.
const FULL: u64 = 16 * 1024 * 1024;
