//! A machine that has nothing, and becomes a node.

use std::os::unix::fs::PermissionsExt;

use super::terminal::User;

#[test]
fn a_waiting_machine_is_sent_its_place_and_takes_part() {
    let (here, there) = (User::new(), User::new());
    let file = here.ping("20");
    let mut waiting = there.start(&["node", "--listen", "127.0.0.1:0"]);
    let token =
        waiting.find("a token", |line| (!line.starts_with("dx: ")).then(|| line.to_owned()));
    let path = here.file("token", &token);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let join = format!("n3={}", path.display());
    let mut up = here.start(&["up", file.to_str().unwrap(), "--join-file", &join]);
    up.wait_for("node n3 has joined");
    up.wait_for("is ready: 3 nodes");
    waiting.wait_for("joined cluster ping as node n3");
    waiting.wait_for("is ready: 2 links, 1 agent");
    up.wait_for("received from agent 3: Hello #");
    let status = here.json(&["status"]);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3, "{status}");
    assert!(!there.home().join("ping/ca.key").exists(), "the authority's key has travelled");
    let (code, lines) = up.interrupt();
    assert_eq!(code, Some(130));
    assert!(lines.iter().any(|line| line.starts_with("dx: stopped 2 nodes")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains(&token)), "the token was shown");
    let (code, _) = waiting.interrupt();
    assert_eq!(code, Some(130));
}

#[test]
fn a_token_for_no_node_elsewhere_is_refused() {
    let user = User::new();
    let file = user.ping("20");
    let (code, _, stderr) = user.run(&["up", file.to_str().unwrap(), "--join-file", "n9=/tmp/x"]);
    assert_eq!(
        (code, stderr.as_str()),
        (2, "dx: no node `n9` of this cluster is on another machine\n")
    );
}

#[test]
fn a_wait_for_a_place_that_ctrl_c_ends_was_interrupted() {
    let user = User::new();
    let mut waiting = user.start(&["node", "--listen", "127.0.0.1:0"]);
    waiting.wait_for("waiting to be told which node to be");
    let (code, lines) = waiting.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
    assert!(lines.last().unwrap().contains("stopped before it was told"), "{lines:#?}");
}
