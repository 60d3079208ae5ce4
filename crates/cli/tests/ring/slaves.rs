//! The form of the ring's first version: slaves, and a master that finds them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::results::{agreed, results, stdout};
use super::terminal::{Program, User, signal_to};

fn slaves(user: &User) -> Vec<Program> {
    let ports = user.ports.iter().map(u16::to_string);
    let start = |port: String| {
        let mut slave = user.start(&["ring", "slave", "127.0.0.1", &port]);
        slave.wait_for("waits for");
        slave
    };
    ports.map(start).collect()
}

fn master(send_us: &str) -> Vec<&str> {
    vec!["ring", "master", "127.0.0.1", "10501", send_us, "200000", "0"]
}

#[test]
fn a_master_makes_members_of_the_slaves_and_each_prints_the_result() {
    let user = User::new();
    let slaves = slaves(&user);
    let (code, stdout, stderr) = user.run(&master("300000"));
    assert_eq!(code, 0, "{stderr}");
    let results = results(&stdout);
    assert_eq!(results.len(), 3);
    let result = agreed(&results);
    for slave in slaves {
        let (status, lines) = slave.end();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        let prints = |line: &String| line.starts_with("member ") && line.ends_with(result);
        assert!(lines.iter().any(prints), "{lines:#?}");
    }
}

#[test]
fn a_slave_that_is_killed_is_started_again_by_the_master() {
    let user = User::new();
    let mut slaves = slaves(&user);
    let mut master = user.start(&master("2000000"));
    let victim = slaves.pop().unwrap();
    let mut other = slaves.pop().unwrap();
    other.wait_for("SEND");
    master.wait_for("is ready: 3 nodes");
    signal_to(victim.pid(), Signal::KILL);
    master.wait_for("has caught up");
    let (status, lines) = master.end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!(results.len(), 3);
    agreed(&results);
}

#[test]
fn another_master_goes_on_where_the_first_one_died() {
    let user = User::new();
    let mut slaves = slaves(&user);
    let mut first = user.start(&master("1000000"));
    first.wait_for("is ready: 3 nodes");
    slaves[0].wait_for("SEND");
    first.signal(Signal::KILL);
    first.end();
    let (code, _, stderr) = user.run(&master("1000001"));
    assert_eq!((code, stderr.contains("with another plan")), (2, true), "{stderr}");
    let (code, stdout, stderr) = user.run(&master("1000000"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("goes on"), "{stderr}");
    agreed(&results(&stdout));
}

#[test]
fn a_master_waits_for_slaves_where_it_is_told_how_many() {
    let user = User::new();
    let first = user.ports[0].to_string();
    let mut slave = user.start(&["ring", "slave", "127.0.0.1", &first]);
    slave.wait_for("waits for");
    let mut master = user.start(&[&master("100000")[..], &["--slaves", "2"]].concat());
    let second = user.ports[1].to_string();
    let _late = user.start(&["ring", "slave", "127.0.0.1", &second]);
    master.wait_for("is ready: 2 nodes");
    let (status, lines) = master.end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
}

#[test]
fn a_slave_nobody_needs_stops_at_ctrl_c_and_is_forgotten() {
    let user = User::new();
    let port = user.ports[0].to_string();
    let mut slave = user.start(&["ring", "slave", "localhost", &port]);
    slave.wait_for("waits for");
    let (code, _, stderr) = user.run(&["ring", "slave", "127.0.0.1", &port]);
    assert_eq!((code, stderr.contains("waits at")), (2, true), "{stderr}");
    let (code, lines) = slave.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
    let (code, _, stderr) = user.run(&master("100000"));
    assert_eq!((code, stderr.contains("no slave waits on this machine")), (2, true), "{stderr}");
}

#[test]
fn a_master_refuses_what_cannot_work_beyond_its_machine() {
    let user = User::new();
    let port = user.ports[0].to_string();
    let mut slave = user.start(&["ring", "slave", "127.0.0.1", &port]);
    slave.wait_for("waits for");
    let no_token = user.file("no-token", "a token");
    fs::set_permissions(&no_token, fs::Permissions::from_mode(0o600)).unwrap();
    let no_token = no_token.to_str().unwrap();
    for (more, expected) in [
        (&["--join-file", no_token][..], "cannot be reached from another machine"),
        (&["--join-file", no_token, "--transport", "tcp"], "members need tls or quic"),
    ] {
        let (code, _, stderr) = user.run(&[&master("1000")[..], more].concat());
        assert_eq!((code, stderr.contains(expected)), (2, true), "{stderr}");
    }
}
