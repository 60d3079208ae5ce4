//! Programs on hosts.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use dx_lab::{Lab, ProcessError, or_skip};

/// `T` for stopped, as /proc/PID/stat tells it.
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

#[test]
fn a_program_runs_inside_its_host() {
    let Some(lab) = or_skip(Lab::new("program")) else { return };
    let a = lab.host("a").unwrap();
    let namespace = |path: &str| fs::read_link(path).unwrap();
    let mut program = a.spawn(Command::new("sleep").arg("1000")).unwrap();
    let inside = namespace(&format!("/proc/{}/ns/net", program.id()));
    assert_eq!(inside, a.enter(|| namespace("/proc/thread-self/ns/net")));
    assert_ne!(inside, namespace("/proc/self/ns/net"));
    program.kill().unwrap();
    let status = a.spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap().wait().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn a_paused_program_answers_only_once_it_is_resumed() {
    let Some(lab) = or_skip(Lab::new("pause")) else { return };
    let a = lab.host("a").unwrap();
    let mut cat = Command::new("cat");
    let mut cat = a.spawn(cat.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
    let (mut question, answer) = (cat.stdin().unwrap(), cat.stdout().unwrap());
    for word in ["first\n", "second\n"] {
        cat.pause().unwrap();
        cat.pause().unwrap();
        question.write_all(word.as_bytes()).unwrap();
        assert_eq!(state(cat.id()), 'T');
        cat.resume().unwrap();
        cat.resume().unwrap();
        assert_ne!(state(cat.id()), 'T');
    }
    drop(question);
    let lines: Vec<String> = BufReader::new(answer).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["first", "second"]);
    assert!(cat.wait().unwrap().success());
}

#[test]
fn a_killed_program_is_gone_when_kill_returns() {
    const SIGKILL: i32 = 9;
    let Some(lab) = or_skip(Lab::new("kill")) else { return };
    let a = lab.host("a").unwrap();
    let mut program = a.spawn(Command::new("sleep").arg("1000")).unwrap();
    program.pause().unwrap();
    let status = program.kill().unwrap();
    assert_eq!(status.signal(), Some(SIGKILL));
    assert!(!fs::exists(format!("/proc/{}", program.id())).unwrap());
    assert!(matches!(program.pause(), Err(ProcessError::Ended(found)) if found == status));
    assert_eq!(program.kill().unwrap(), status);
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let Some(lab) = or_skip(Lab::new("missing")) else { return };
    let error = lab.host("a").unwrap().spawn(&mut Command::new("/nowhere/program")).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("failed to start `/nowhere/program`: "), "{message}");
}
