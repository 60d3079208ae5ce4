//! The built program: what it finds, keeps, replays and says.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub const LOCAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/local.toml");

pub fn dx(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
    command.args(arguments).env("XDG_STATE_HOME", home).env_remove("DX_SIM_SEED");
    command
}

pub fn run(home: &Path, arguments: &[&str]) -> Output {
    dx(home, arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

/// A file of a seed that fails, since it may take few events only.
pub fn kept(home: &Path) -> String {
    let arguments = ["sim", "run", LOCAL, "--seeds", "1", "--from", "3", "--events", "150"];
    let output = run(home, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let file = home.join("dx-sim/local-seed-3.tape");
    assert!(text(&output.stdout).contains(&format!("dx sim replay {}", file.display())));
    file.to_str().unwrap().to_owned()
}

#[test]
fn echo_and_ping_keep_their_promises_whatever_breaks_and_on_any_number_of_threads() {
    let home = TempDir::new().unwrap();
    let [one, three] = ["1", "3"].map(|jobs| {
        let output = run(
            home.path(),
            &["sim", "run", LOCAL, "--seeds", "30", "--jobs", jobs, "--twice", "--json"],
        );
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        json(&output)
    });
    assert_eq!((&one["outcome"], &one["seeds"]), (&"fine".into(), &30.into()));
    assert_eq!((&one["hash"], &one["faults"]), (&three["hash"], &three["faults"]));
    assert_eq!(one["faults"].as_object().unwrap().len(), 12, "{}", one["faults"]);
    let points = one["coverage"].as_array().unwrap();
    let held = |name: &str| {
        let point = points.iter().find(|point| point["name"] == name).unwrap();
        point["held"].as_u64().unwrap()
    };
    assert_eq!(held("an echo hears what each ping says in order, and nothing twice"), 30);
    assert!(held("a greeting is not answered") > 0, "nothing that mattered was broken");
}

#[test]
fn only_what_may_break_does() {
    let home = TempDir::new().unwrap();
    for (faults, kinds) in [("none", vec![]), ("crash,clog", vec!["clog", "crash"])] {
        let output =
            run(home.path(), &["sim", "run", LOCAL, "--seeds", "10", "--faults", faults, "--json"]);
        let found = json(&output);
        let found: Vec<&str> =
            found["faults"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, kinds);
    }
}

#[test]
fn a_failing_seed_is_kept_for_its_user_alone_and_replays_as_the_same_run() {
    let home = TempDir::new().unwrap();
    let file = kept(home.path());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let output = run(home.path(), &["sim", "replay", &file]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.starts_with("seed 3: `the run ends within its events`"), "{told}");
    assert!(told.contains("it fails as it did: the same run, event by event\n"), "{told}");
    let same = json(&run(home.path(), &["sim", "replay", &file, "--json"]));
    assert_eq!((&same["same"], &same["misfits"]), (&true.into(), &0.into()));
}

#[test]
fn a_failure_is_drawn_as_text_and_svg() {
    let home = TempDir::new().unwrap();
    let file = kept(home.path());
    let drawing = home.path().join("failure.svg");
    let output = run(home.path(), &["sim", "replay", &file, "--svg", drawing.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("FAILS: the run ends") && told.contains("Hello #"), "{told}");
    let drawn = fs::read_to_string(&drawing).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("Hello #"), "{drawn}");
    let output = run(home.path(), &["sim", "replay", &file, "--svg", "no-such-folder/failure.svg"]);
    assert!(text(&output.stderr).contains("failed to write no-such-folder/failure.svg"));
}

#[test]
fn real_sessions_keep_the_promises_too() {
    let home = TempDir::new().unwrap();
    let output =
        run(home.path(), &["sim", "run", LOCAL, "--seeds", "10", "--fidelity", "bytes", "--json"]);
    assert_eq!(json(&output)["outcome"], "fine", "{}", text(&output.stdout));
}

#[test]
fn a_trace_shows_what_agents_print_and_is_the_same_each_time() {
    let home = TempDir::new().unwrap();
    let file = kept(home.path());
    let [one, two] =
        [(); 2].map(|()| run(home.path(), &["sim", "replay", &file, "--trace"]).stdout);
    assert_eq!(one, two);
    assert!(text(&one).contains("Echo agent 1 received from agent"), "{}", text(&one));
}

#[test]
fn a_file_whose_cluster_was_changed_is_told_to_be_another_run() {
    let home = TempDir::new().unwrap();
    let file = kept(home.path());
    let changed =
        fs::read_to_string(&file).unwrap().replace(r#""interval":"1s""#, r#""interval":"9s""#);
    fs::write(&file, changed).unwrap();
    let output = run(home.path(), &["sim", "replay", &file]);
    let told = text(&output.stdout);
    assert!(!told.contains("as it did"), "{told}");
    assert!(told.contains("the file was changed by hand"), "{told}");
}

#[test]
fn ctrl_c_reports_what_was_done_until_then() {
    let home = TempDir::new().unwrap();
    let mut child = dx(home.path(), &["sim", "run", LOCAL, "--seeds", "100000000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.contains("nothing failed until it was interrupted"), "{rest}");
    assert!(rest.contains(" of 100000000 seeds done"), "{rest}");
}
