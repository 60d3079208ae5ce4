//! `dx cert`, as somebody at a terminal meets it.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use dx::home::Home;
use dx_transport::id::NodeId;
use serde_json::Value;
use tempfile::TempDir;

const DAY: Duration = Duration::from_hours(24);

/// A user with a home of their own.
struct User(TempDir);

impl User {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> std::path::PathBuf {
        self.0.path().join("dx/local")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
        command.arg("cert").args(arguments).env("XDG_STATE_HOME", self.0.path());
        command.env_remove("DX_CLUSTER");
        command
    }

    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, stdout, stderr) = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))
    }
}

#[test]
fn a_cluster_is_made_and_shown_and_made_only_once() {
    let user = User::new();
    let (code, stdout, stderr) = user.run(&["init"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let (code, again, stderr) = user.run(&["init"]);
    assert_eq!((code, again), (0, stdout));
    assert!(stderr.contains("cluster local is here already; nothing was changed"), "{stderr}");
    let (_, fingerprint, _) = user.run(&["fingerprint"]);
    assert_eq!(user.json(&["show"])["authority"]["fingerprint"], fingerprint.trim_end());
}

#[test]
fn many_processes_that_make_a_cluster_at_once_make_the_same_one() {
    let user = User::new();
    let start = |_| user.command(&["init", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..12).map(start).collect();
    // The days that are left may differ: the reports are made at different times.
    let authority = |child: std::process::Child| {
        let report = child.wait_with_output().unwrap().stdout;
        let report: Value = serde_json::from_slice(&report).unwrap();
        report["authority"]["fingerprint"].as_str().unwrap().to_owned()
    };
    let mut authorities: Vec<_> = children.into_iter().map(authority).collect();
    authorities.dedup();
    assert_eq!(authorities.len(), 1);
}

#[test]
fn what_is_wrong_with_a_certificate_is_one_line_and_says_what_to_do() {
    let user = User::new();
    let cluster = Home::at(&user.0.path().join("dx"));
    let cluster = cluster.open_or_create(&"local".parse().unwrap()).unwrap();
    let now = SystemTime::now();
    for (name, age) in [("n1", 0), ("n2", 500), ("n3", 300), ("n4", 0), ("n5", 0), ("web", 0)] {
        let node = cluster.node(&name.parse().unwrap());
        node.issue(node.name().number().unwrap_or(NodeId(9)), now - age * DAY, false).unwrap();
    }
    let file = |name: &str| user.folder().join(name);
    fs::remove_file(file("n4/node.pem")).unwrap();
    fs::copy(file("n1/node.key"), file("n5/node.key")).unwrap();
    fs::write(file("web/node.pem"), "-----BEGIN nonsense").unwrap();
    let (code, stdout, _) = user.run(&["show"]);
    assert_eq!(code, 1, "{stdout}");
    for (node, expected) in [
        ("n1", "  ok"),
        ("n2", "has expired: issue a new one"),
        ("n3", "due: `dx cert renew`"),
        ("n4", "`dx cert issue n4 --cluster local`"),
        ("n5", "key does not belong to its certificate"),
        ("web", "holds no certificate"),
    ] {
        let mut lines = stdout.lines().filter(|line| line.starts_with(&format!("{node} ")));
        let line = lines.next().unwrap();
        assert!(line.contains(expected) && lines.next().is_none(), "{stdout}");
    }
    for arguments in [&["renew"][..], &["issue", "n4"], &["issue", "n5", "--replace"]] {
        user.run(arguments);
    }
    let (code, stdout, stderr) = user.run(&["issue", "web", "--id", "9", "--replace"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (code, stdout, _) = user.run(&["show"]);
    assert_eq!(code, 0, "{stdout}");
    let report = user.json(&["show"]);
    let well = |node: &Value| node["problem"].is_null() && node["due"] == false;
    assert!(report["nodes"].as_array().unwrap().iter().all(well), "{report}");
}

#[test]
fn typos_are_answered_with_what_was_meant() {
    let user = User::new();
    user.run(&["init"]);
    for (arguments, code, expected) in [
        (&["show", "--cluster", "loacl"][..], 1, "did you mean `local`?"),
        (&["shwo"], 2, "'show'"),
        (&["issue", "web"], 1, "add `--id N`"),
        (&["issue", "n1", "--id", "-1"], 2, "unexpected argument"),
        (&["issue", "n1", "--id", "4294967296"], 2, "no number from 0 to 4294967295"),
        (&["issue", "../n1"], 2, "not the name of a node"),
        (&["renew", "n1"], 1, "`dx cert issue n1 --cluster local` makes one"),
        (&["init", "--cluster", ".."], 1, "choose another"),
    ] {
        let (exit, stdout, stderr) = user.run(arguments);
        assert_eq!((exit, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn no_secret_is_ever_printed() {
    let user = User::new();
    user.run(&["init"]);
    user.run(&["issue", "n1"]);
    let key = |file: &str| {
        let text = fs::read_to_string(user.folder().join(file)).unwrap();
        text.lines().find(|line| !line.starts_with('-')).unwrap().to_owned()
    };
    let secrets = [key("ca.key"), key("n1/node.key"), key("secret")];
    for arguments in [
        &["show"][..],
        &["show", "--json"],
        &["init"],
        &["renew", "n1", "--json"],
        &["issue", "n1", "--replace"],
        &["fingerprint", "n1"],
    ] {
        let (_, stdout, stderr) = user.run(arguments);
        let shows = |secret: &String| stdout.contains(secret) || stderr.contains(secret);
        assert!(!secrets.iter().any(shows), "{arguments:?}: {stdout}{stderr}");
    }
    // Whatever made the folder, the keys are the user's alone.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in ["ca.key", "secret", "n1/node.key"] {
        assert_eq!(mode(&user.folder().join(file)), 0o600, "{file}");
    }
}
