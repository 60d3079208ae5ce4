//! What is said of mistakes: one clear line, and the exit code of a mistake.

use std::net::TcpListener;

use super::terminal::User;

#[test]
fn a_second_up_is_told_of_the_first() {
    let user = User::new();
    let file = user.ping("100");
    let file = file.to_str().unwrap();
    let mut first = user.start(&["up", file]);
    first.wait_for("is ready");
    let (code, stdout, stderr) = user.run(&["up", file]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let pid = first.pid();
    let expected =
        format!("dx: cluster ping is up already: another `dx up` watches over it (pid {pid})");
    assert!(stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
    first.interrupt();
}

#[test]
fn a_taken_port_is_named_and_what_had_started_is_stopped() {
    let user = User::new();
    let file = user.ping("100");
    let port = user.ports[1];
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (code, stdout, stderr) = user.run(&["up", file.to_str().unwrap()]);
    assert_eq!(code, 2, "{stdout}{stderr}");
    assert!(stdout.contains(&format!("n2 | dx: port {port} is taken")), "{stdout}");
    assert!(stderr.contains("cluster ping did not start"), "{stderr}");
    let (code, ..) = user.run(&["status"]);
    assert_eq!(code, 1, "something still runs");
}

#[test]
fn of_a_port_that_another_node_has_the_node_is_named() {
    let user = User::new();
    let file = user.ping("100");
    let mut node = user.start(&["node", file.to_str().unwrap(), "--id", "1"]);
    node.wait_for("listens at");
    let text = format!(
        "[node.x]\nid = 1\naddress = \"127.0.0.1:{}\"\n[agent.1]\nkind = \"echo\"\nnode = \"x\"\n",
        user.ports[0]
    );
    let other = user.file("other.toml", &text);
    let (code, _, stderr) = user.run(&["node", other.to_str().unwrap(), "--id", "1"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("node n1 of cluster ping listens there (pid "), "{stderr}");
    assert!(stderr.contains("dx down n1 --cluster ping"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn the_same_node_does_not_run_twice() {
    let user = User::new();
    let file = user.ping("100");
    let mut node = user.start(&["node", file.to_str().unwrap(), "--id", "1"]);
    node.wait_for("listens at");
    let (code, _, stderr) = user.run(&["node", file.to_str().unwrap(), "--id", "1"]);
    assert_eq!(code, 2);
    assert_eq!(stderr, format!("dx: node n1 of cluster ping runs already (pid {})\n", node.pid()));
}

#[test]
fn what_is_wrong_with_the_command_line_is_one_line() {
    let user = User::new();
    let file = user.ping("100");
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (
            &["node", file, "--id", "9"][..],
            "dx: cluster ping has no node of id 9: it has 1 (n1), 2 (n2), 3 (n3)",
        ),
        (
            &["node", file, "--name", "m1"],
            "dx: cluster ping has no node `m1`: it has 1 (n1), 2 (n2), 3 (n3)",
        ),
        (&["node", file], "dx: which node? Add `--id N`: there are 1 (n1), 2 (n2), 3 (n3)"),
        (
            &["node"],
            "dx: of which cluster? Name its file, as in `dx node configs/local.toml --id 1`, or wait for one with `--listen`",
        ),
        (&["up"], "dx: which cluster? Name its file, as in `dx up configs/local.toml`"),
        (&["status", "--cluster", "png"], "dx: no cluster `png` here"),
    ] {
        let (code, stdout, stderr) = user.run(arguments);
        assert_eq!((code, stdout.as_str(), stderr.trim_end()), (2, "", expected), "{arguments:?}");
    }
    let (code, _, stderr) = user.run(&["up", &file.replace("ping.json", "pnig.json")]);
    assert_eq!((code, stderr.contains("did you mean")), (2, true), "{stderr}");
}

#[test]
fn what_is_wrong_with_agents_is_found_before_anything_starts() {
    let user = User::new();
    let cluster = |agents: &str| {
        let node = format!("[node.n1]\nid = 1\naddress = \"127.0.0.1:{}\"\n", user.ports[0]);
        user.file("wrong.toml", &format!("{node}{agents}"))
    };
    for (agents, expected) in [
        ("[agent.1]\nkind = \"ehco\"\nnode = \"n1\"\n", "did you mean `echo`?"),
        ("[agent.1]\nkind = \"ping\"\nnode = \"n1\"\n", "target"),
        ("[agent.1]\nkind = \"ping\"\nnode = \"n1\"\nattr = { target = 7 }\n", "7"),
        ("[agent.1]\nkind = \"echo\"\nnode = \"n1\"\nattr = { repyl = true }\n", "reply"),
        (
            "[agent.1]\nkind = \"echo\"\nnode = \"n1\"\n[agent.2]\nkind = \"ping\"\nnode = \"n1\"\nattr = { target = 1, interval = \"5\" }\n",
            "unit",
        ),
    ] {
        let file = cluster(agents);
        let (code, stdout, stderr) = user.run(&["up", file.to_str().unwrap()]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(expected), "`{expected}` is not in: {stderr}");
        assert!(!user.home().exists(), "something was made for {agents}");
    }
}

#[test]
fn a_cluster_without_nodes_is_no_matter_of_addresses() {
    let user = User::new();
    let file = user.file("none.toml", "");
    let file = file.to_str().unwrap();
    for arguments in [&["up", file][..], &["node", file, "--id", "1"]] {
        let (code, _, stderr) = user.run(arguments);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.starts_with("dx: cluster none has no nodes"), "{stderr}");
    }
    assert!(!user.home().join("none").exists(), "keys were made for nothing");
}

#[test]
fn an_address_where_nobody_can_wait_is_a_mistake() {
    let user = User::new();
    for listen in ["foo", "127.0.0.1:99999", "0.0.0.0:0"] {
        let (code, stdout, stderr) = user.run(&["node", "--listen", listen]);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
    }
}

#[test]
fn what_cannot_start_ends_with_an_outcome_of_words() {
    let user = User::new();
    let file = user.ping("100");
    let _taken = TcpListener::bind(("127.0.0.1", user.ports[1])).unwrap();
    let (code, stdout, _) = user.run(&["up", file.to_str().unwrap(), "--json"]);
    assert_eq!(code, 2, "{stdout}");
    let last: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"], "cannot_start");
}
