//! What the kernel is asked for, in which order: every acknowledgement follows the fdatasync that
//! follows its write.

use std::env;
use std::fs;
use std::process::Command;

use super::kill;

/// The system calls of a child that writes, one per line; none, with a reason, without strace.
fn traced(is_threaded: bool) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "40", "-e", "trace=write,fdatasync,fsync,rename", "-o"]);
    strace.arg(&log).arg(env::current_exe().unwrap());
    let mut command = kill::child(strace, &folder.path().join("journal"));
    if is_threaded {
        kill::through_thread(&mut command);
    }
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => {
            println!("skipped: strace (apt install strace) does not run: {error}");
            return None;
        }
    }
    Some(fs::read_to_string(log).unwrap())
}

/// Checks the order, and counts acknowledgements.
fn check(trace: &str) -> usize {
    let (mut unsynced, mut acknowledged) = (Vec::new(), 0);
    for line in trace.lines().filter(|line| line.contains(" = ")) {
        if line.contains("write(") && line.contains("acknowledged") {
            assert!(unsynced.is_empty(), "acknowledged before {unsynced:?} was synced: {line}");
            acknowledged += 1;
        } else if line.contains("write(")
            && (line.contains(".journal>") || line.contains(".draft>"))
        {
            unsynced.push(line);
        } else if line.contains("fdatasync(") && line.ends_with("= 0") {
            unsynced.clear();
        } else if line.contains("rename(") {
            assert!(unsynced.is_empty(), "renamed before {unsynced:?} was synced: {line}");
        }
    }
    acknowledged
}

#[test]
fn every_acknowledgement_follows_an_fdatasync() {
    for is_threaded in [false, true] {
        let Some(trace) = traced(is_threaded) else { return };
        assert!(trace.contains(".journal>") && trace.contains("fsync("), "{trace}");
        assert!(check(&trace) >= 1, "{trace}");
    }
}

#[test]
fn the_check_of_the_trace_notices_a_missing_sync() {
    let Some(trace) = traced(false) else { return };
    let without: Vec<&str> = trace.lines().filter(|line| !line.contains("fdatasync(")).collect();
    let outcome = std::panic::catch_unwind(|| check(&without.join("\n")));
    assert!(outcome.is_err());
}
