//! The form of the ring's first version: slaves, and a master that finds them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dx_lab::{Host, Lab, or_skip};
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

/// A slave on a host, in a home of its own, and the file that its master needs.
fn elsewhere(there: &User, host: &Host) -> (Program, PathBuf) {
    let at = host.address().to_string();
    let command = there.command(&["ring", "slave", &at, "10502", "--listen"]);
    let mut slave = host.enter(|| Program::start(command));
    let token = slave.wait_for("dx-join:");
    let file = there.file("token", &token);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    (slave, file)
}

/// Two slaves on the master's host, and one on another.
fn on_two_hosts() -> Option<(Lab, [Host; 2], Vec<Program>, [User; 2], PathBuf)> {
    let lab = or_skip(Lab::new("slaves"))?;
    let hosts = ["here", "there"].map(|name| lab.host(name).unwrap());
    let users = [User::new(), User::new()];
    let (far, token) = elsewhere(&users[1], &hosts[1]);
    let at = hosts[0].address().to_string();
    let near = ["10502", "10503"].map(|port| {
        let command = users[0].command(&["ring", "slave", &at, port]);
        let mut slave = hosts[0].enter(|| Program::start(command));
        slave.wait_for("waits for");
        slave
    });
    let slaves = [far].into_iter().chain(near).collect();
    Some((lab, hosts, slaves, users, token))
}

/// A master on a host, for slaves of which one is on another.
fn master_of(user: &User, host: &Host, token: &PathBuf, send_us: &str) -> Program {
    let at = host.address().to_string();
    let plan = ["ring", "master", &at, "10501", send_us, "200000", "0"];
    let token = token.to_str().unwrap();
    let command = user.command(&[&plan[..], &["--join-file", token]].concat());
    host.enter(|| Program::start(command))
}

#[test]
fn a_slave_on_another_machine_is_a_member_by_its_token_and_ends_with_the_run() {
    let Some((_lab, hosts, slaves, users, token)) = on_two_hosts() else { return };
    let master = master_of(&users[0], &hosts[0], &token, "300000");
    let (status, lines) = master.end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!(results.len(), 3);
    let result = agreed(&results);
    for slave in slaves {
        let (status, lines) = slave.end();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        let prints = |line: &String| line.starts_with("member ") && line.ends_with(result);
        assert!(lines.iter().any(prints), "{lines:#?}");
    }
    let left: Vec<_> = fs::read_dir(users[1].home()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_slave_on_another_machine_that_is_gone_has_no_result_and_the_others_agree() {
    let Some((_lab, hosts, mut slaves, users, token)) = on_two_hosts() else { return };
    let master = master_of(&users[0], &hosts[0], &token, "1000000");
    slaves[0].wait_for("SEND");
    signal_to(slaves[0].pid(), Signal::KILL);
    let (status, lines) = master.end();
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!((results.len(), results[&3].as_str()), (3, "gone"));
    agreed(&results);
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
