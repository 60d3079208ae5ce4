//! Slaves on another machine than their master: on another host of a laboratory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dx_lab::{Host, Lab, or_skip};
use rustix::process::Signal;

use super::results::{agreed, results, stdout};
use super::terminal::{Program, User, signal_to};

/// Two slaves on the master's host, and one on another, in a home of its own.
struct Apart {
    here: User,
    there: User,
    near: Vec<Program>,
    far: Program,
    /// What the master needs to make the far one a member.
    token: PathBuf,
    hosts: [Host; 2],
    _lab: Lab,
}

impl Apart {
    /// `None` if this machine has no laboratory.
    fn start() -> Option<Self> {
        let lab = or_skip(Lab::new("slaves"))?;
        let hosts = ["here", "there"].map(|name| lab.host(name).unwrap());
        let [here, there] = [User::new(), User::new()];
        let slave = |user: &User, host: &Host, more: &[&str]| {
            let at = host.address().to_string();
            let command = user.command(&[&["ring", "slave", &at], more].concat());
            host.enter(|| Program::start(command))
        };
        let mut far = slave(&there, &hosts[1], &["10502", "--listen"]);
        let token = here.file("token", &far.wait_for("dx-join:"));
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let near = ["10502", "10503"].map(|port| {
            let mut slave = slave(&here, &hosts[0], &[port]);
            slave.wait_for("waits for");
            slave
        });
        Some(Self { here, there, near: near.into(), far, token, hosts, _lab: lab })
    }

    fn master(&self, send_us: &str) -> Program {
        let at = self.hosts[0].address().to_string();
        let plan = ["ring", "master", &at, "10501", send_us, "200000", "0"];
        let token = ["--join-file", self.token.to_str().unwrap()];
        let command = self.here.command(&[&plan[..], &token].concat());
        self.hosts[0].enter(|| Program::start(command))
    }
}

#[test]
fn a_slave_on_another_machine_is_a_member_by_its_token_and_ends_with_the_run() {
    let Some(apart) = Apart::start() else { return };
    let (status, lines) = apart.master("300000").end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!(results.len(), 3);
    let result = agreed(&results);
    for slave in apart.near.into_iter().chain([apart.far]) {
        let (status, lines) = slave.end();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        let prints = |line: &String| line.starts_with("member ") && line.ends_with(result);
        assert!(lines.iter().any(prints), "{lines:#?}");
    }
    let left: Vec<_> = fs::read_dir(apart.there.home()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_slave_on_another_machine_that_is_gone_has_no_result_and_the_others_agree() {
    let Some(mut apart) = Apart::start() else { return };
    let master = apart.master("1000000");
    apart.far.wait_for("SEND");
    signal_to(apart.far.pid(), Signal::KILL);
    let (status, lines) = master.end();
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!((results.len(), results[&3].as_str()), (3, "gone"));
    agreed(&results);
}
