//! Looking at a cluster that runs.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::terminal::{Program, User};

/// A user, and a cluster that runs.
fn running(interval: &str) -> (User, Program) {
    let user = User::new();
    let file = user.ping(interval);
    let mut up = user.start(&["up", file.to_str().unwrap()]);
    up.wait_for("is ready: 3 nodes");
    up.wait_for("Hello #");
    (user, up)
}

#[test]
fn status_tells_of_nodes_links_and_agents() {
    let (user, up) = running("20");
    let status = user.json(&["status"]);
    assert_eq!(status["cluster"], "ping");
    assert_eq!(status["silent"], Value::Array(Vec::new()));
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().map(|node| &node["node"]).collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    for node in nodes {
        for key in ["id", "incarnation", "pid", "uptime_ms"] {
            assert!(node[key].is_u64(), "{key} of {node}");
        }
        let links = node["status"]["links"].as_array().unwrap();
        assert_eq!(links.len(), 2);
        for link in links {
            assert_eq!((&link["state"], &link["transport"]), (&"up".into(), &"tls".into()));
            for key in ["reconnects", "sessions", "violations"] {
                assert!(link[key].is_u64(), "{key} of {link}");
            }
            let lane = &link["lanes"][0];
            for key in ["sent_bytes", "received_bytes", "queued_bytes", "lost"] {
                assert!(lane[key].is_u64(), "{key} of {lane}");
            }
        }
        let agents = node["status"]["agents"]["agents"].as_array().unwrap();
        assert_eq!(agents.len(), 1);
        for key in ["waiting", "mailbox", "dropped", "slow_steps", "steps"] {
            assert!(agents[0][key].is_u64(), "{key} of {}", agents[0]);
        }
    }
    let (code, table, _) = user.run(&["status"]);
    assert_eq!(code, 0);
    assert!(table.starts_with("cluster ping: 3 of 3 nodes answer\n"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let agents = user.json(&["agent", "ls"]);
    assert_eq!(agents["agents"][0]["kind"], "echo");
    assert_eq!(agents["agents"][2]["node"], "n3");
    up.interrupt();
}

#[test]
fn who_does_not_answer_is_named() {
    let (user, up) = running("20");
    let status = user.json(&["status"]);
    let pid = status["nodes"][2]["pid"].as_u64().unwrap();
    super::terminal::signal_to(u32::try_from(pid).unwrap(), Signal::STOP);
    let (code, stdout, stderr) = user.run(&["status", "--json"]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    let status: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status["silent"][0]["node"], "n3", "{status}");
    assert_eq!(status["nodes"].as_array().unwrap().len(), 2);
    super::terminal::signal_to(u32::try_from(pid).unwrap(), Signal::CONT);
    up.interrupt();
}

#[test]
fn any_agent_can_be_pinged_through_any_node() {
    let (user, up) = running("20");
    for agent in ["1", "2", "3"] {
        let ping = user.json(&["agent", "ping", agent, "-c", "1"]);
        assert_eq!(ping["agent"].as_u64(), agent.parse().ok());
        assert_eq!(ping["node"], format!("n{agent}"));
        assert!(ping["rtt_us"].is_u64(), "{ping}");
    }
    let (code, _, stderr) = user.run(&["agent", "ping", "4"]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "dx: there is no agent 4 in this cluster: `dx agent ls` lists those there are\n"
    );
    up.interrupt();
}

#[test]
fn the_control_socket_speaks_plain_http() {
    let (user, up) = running("20");
    let ask = |path: &str| {
        let mut socket = UnixStream::connect(user.home().join("ping/n1/control.sock")).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: dx\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    let status = ask("/v1/status");
    assert!(
        status.starts_with("HTTP/1.1 200 OK") && status.contains(r#""cluster":"ping""#),
        "{status}"
    );
    let metrics = ask("/metrics");
    assert!(metrics.contains("\ndx_peer_up{node=\"n1\",peer=\"n2\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\ndx_agent_steps_total{"), "{metrics}");
    let missing = ask("/v1/agents/77/ping");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("no_such_agent"), "{missing}");
    let secret = std::fs::read_to_string(user.home().join("ping/secret")).unwrap();
    assert!(!ask("/v1/configuration").contains(secret.trim()));
    up.interrupt();
}

#[test]
fn a_reader_that_goes_away_ends_watching_without_a_word() {
    let (user, up) = running("20");
    let mut command = user.command(&["status", "--watch"]);
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 16];
    watching.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    up.interrupt();
}

#[test]
fn any_bytes_travel_and_are_shown_in_one_line() {
    let user = User::new();
    let text = format!(
        "[node.n1]\nid = 1\naddress = \"127.0.0.1:{}\"\n[node.n2]\nid = 2\naddress = \"127.0.0.1:{}\"\n\
         [agent.1]\nkind = \"echo\"\nnode = \"n1\"\n\
         [agent.2]\nkind = \"ping\"\nnode = \"n2\"\n\
         attr = {{ target = 1, interval = \"20ms\", size = \"1MiB\", payload = \"$HOME\\n\\u0000\\u001b[31m\" }}\n",
        user.ports[0], user.ports[1]
    );
    let file = user.file("bytes.toml", &text);
    let mut up = user.start(&["up", file.to_str().unwrap()]);
    let line = up.wait_for("from Ping agent 2 $HOME");
    assert!(line.contains(r"Ping agent 2 $HOME\n\u{0}\u{1b}[31m..."), "{line}");
    assert!(line.ends_with("... (1048576 bytes)"), "{line}");
    let (_, lines) = up.interrupt();
    assert!(lines.iter().any(|line| line.contains("answered, 0 lost")), "{lines:#?}");
}
