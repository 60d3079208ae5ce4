//! Whatever dies in SEND.

use rustix::process::Signal;

use super::results::{agreed, count, recomputed, results, sent, shown, stdout};
use super::terminal::{Program, User, signal_to};

const SIZE: usize = 32 * 1024;

/// A run that takes seconds, of which each sender tells all that it sent.
const LONG: [&str; 9] =
    ["ring", "run", "--cluster", "r", "--messages", "1500", "--size", "32KiB", "--tell-own"];

fn start(user: &User, more: &[&str]) -> Program {
    user.start(&[&LONG[..], more].concat())
}

fn pid(user: &User, cluster: &str, member: u64) -> u32 {
    let lock = user.home().join(cluster).join(format!("n{member}/lock"));
    std::fs::read_to_string(lock).unwrap().trim().parse().unwrap()
}

/// Waits until a member has delivered so many of its own.
fn wait_until_sent(run: &mut Program, member: u64, at_least: usize) {
    for _ in 0..at_least {
        run.find("a message of its own", |line| sent(line).filter(|(_, (it, _))| *it == member));
    }
}

#[test]
fn a_member_that_is_killed_comes_back_and_all_have_what_all_sent() {
    // The one that sees to changes, one between, and the one that numbers.
    for victim in [1, 2, 3] {
        let user = User::new();
        let mut run = start(&user, &["--members", "3"]);
        wait_until_sent(&mut run, victim, 50);
        signal_to(pid(&user, "r", victim), Signal::KILL);
        run.wait_for(&format!("member {victim}: has caught up"));
        let (status, lines) = run.end();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        let results = results(&stdout(&lines));
        assert_eq!(results.len(), 3);
        let result = agreed(&results);
        assert_eq!(count(result), 4500);
        assert_eq!(result, shown(&recomputed(&lines, 4500, SIZE, Some(victim))));
    }
}

#[test]
fn a_majority_goes_on_without_a_member_that_is_not_started_again() {
    for model in ["flow", "lcr"] {
        let user = User::new();
        let mut run = start(&user, &["--members", "3", "--no-restart", "--model", model]);
        wait_until_sent(&mut run, 3, 50);
        signal_to(pid(&user, "r", 3), Signal::KILL);
        let (status, lines) = run.end();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        let results = results(&stdout(&lines));
        assert_eq!(results[&3], "killed");
        let result = agreed(&results);
        let told = recomputed(&lines, count(result), SIZE, Some(3));
        assert_eq!(result, shown(&told));
        assert!((3000..4500).contains(&count(result)), "{result}");
    }
}

#[test]
fn a_minority_says_that_it_is_blocked_and_has_no_result() {
    let user = User::new();
    let mut run = start(&user, &["--members", "3", "--no-restart"]);
    wait_until_sent(&mut run, 1, 50);
    signal_to(pid(&user, "r", 2), Signal::KILL);
    signal_to(pid(&user, "r", 3), Signal::KILL);
    let (status, lines) = run.end();
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    let results = results(&stdout(&lines));
    assert_eq!(results.values().collect::<Vec<_>>(), ["blocked", "killed", "killed"]);
}

#[test]
fn a_majority_that_forgot_everything_says_so() {
    let user = User::new();
    let mut run = start(&user, &["--members", "3"]);
    wait_until_sent(&mut run, 1, 50);
    signal_to(pid(&user, "r", 2), Signal::KILL);
    signal_to(pid(&user, "r", 3), Signal::KILL);
    let (status, lines) = run.end();
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    assert!(results(&stdout(&lines)).values().all(|it| it == "lost"), "{lines:#?}");
}

#[test]
fn members_need_nobody_who_watches_and_the_next_one_gets_their_results() {
    let user = User::new();
    let mut first = start(&user, &["--members", "3"]);
    wait_until_sent(&mut first, 2, 50);
    first.signal(Signal::KILL);
    first.end();
    let (code, _, stderr) = user.run(&["ring", "run", "--cluster", "r", "--seed", "1"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("goes on already, and with other options"), "{stderr}");
    let (code, stdout, stderr) = user.run(&["ring", "run", "--cluster", "r"]);
    assert_eq!(code, 0, "{stderr}");
    let results = results(&stdout);
    assert_eq!((results.len(), count(agreed(&results))), (3, 4500));
}

#[test]
fn a_cut_delays_and_loses_nothing() {
    let user = User::new();
    // Much more than two of them can send while the third is cut off: who is not back when all
    // others have ended, is not waited for.
    let size = ["ring", "run", "--members", "3", "--messages", "6000", "--size", "32KiB"];
    let mut run = user.start(&[&size[..], &["--cut", "1-3@50ms+1s"]].concat());
    // One of them is left out, or the view is changed and both stay.
    run.wait_for("member 1: SEND");
    run.wait_for("member 1: view");
    let (status, lines) = run.end();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    assert_eq!(count(agreed(&results(&stdout(&lines)))), 18_000);
}

#[test]
fn a_kill_for_which_it_is_too_late_is_told() {
    let options = ["ring", "run", "--members", "2", "--messages", "10"];
    let kills = ["--kill", "2@1day", "--kill", "1@1h"];
    let (code, stdout, stderr) = User::new().run(&[&options[..], &kills].concat());
    assert_eq!((code, count(agreed(&results(&stdout)))), (0, 20), "{stderr}");
    for kill in ["1@1h", "2@1day"] {
        let told = format!("--kill {kill} was not carried out: the run was over before");
        assert!(stderr.contains(&told), "{stderr}");
    }
}

#[test]
fn ctrl_c_stops_all_and_says_that_there_is_no_result() {
    let user = User::new();
    let mut run = start(&user, &["--members", "2"]);
    wait_until_sent(&mut run, 1, 1);
    let (code, lines) = run.interrupt();
    assert_eq!(code, Some(130), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("stopped before its end")), "{lines:#?}");
}
