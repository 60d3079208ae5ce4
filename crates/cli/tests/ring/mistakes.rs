//! What cannot be meant.

use super::terminal::User;

/// Arguments, and what the answer names.
const MISTAKES: [(&[&str], &str); 15] = [
    (&["--members", "0"], "1..=64"),
    (&["--members", "65"], "1..=64"),
    (&["--kill", "5@1s"], "there is no member 5, only 1 to 4"),
    (&["--kill", "2@1"], "as in `2@1.5s`"),
    (&["--cut", "1-9@1s+1s"], "there is no member 9, only 1 to 4"),
    (&["--cut", "1-1@1s+1s"], "between a member and itself"),
    (&["--drop", "10%"], "the model flow counts on its links"),
    (&["--model", "lcr", "--drop", "1%"], "the model lcr counts on its links"),
    (&["--drop", "101%"], "0% to 90%"),
    (&["--size", "8"], "9 bytes to 8MiB"),
    (&["--senders", "5"], "5 of 4 members"),
    (&["--send-for", "2"], "write a number and a unit"),
    (&["--messages", "1", "--send-for", "1s"], "cannot be used with"),
    (&["--model", "flwo"], "possible values"),
    (&["--cluster", ".x"], "begins with `.`"),
];

#[test]
fn a_mistake_is_answered_with_what_would_be_right_and_nothing_starts() {
    let user = User::new();
    for (arguments, expected) in MISTAKES {
        let (code, stdout, stderr) = user.run(&[&["ring", "run"], arguments].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let started = std::fs::read_dir(user.home()).into_iter().flatten().count();
    assert_eq!(started, 0);
}

#[test]
fn a_bench_measures_no_naive_members() {
    let (code, stdout, stderr) = User::new().run(&["bench", "ring", "--model", "naive"]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("naive members are in no ring"), "{stderr}");
}

#[test]
fn a_cluster_that_is_no_ring_is_left_alone() {
    let user = User::new();
    let (code, _, stderr) = user.run(&["cert", "init", "--cluster", "mine"]);
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = user.run(&["ring", "run", "--cluster", "mine"]);
    assert_eq!((code, stderr.contains("cluster mine is no run of a ring")), (2, true), "{stderr}");
    assert!(user.home().join("mine/ca.pem").exists());
}
