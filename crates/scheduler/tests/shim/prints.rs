//! What is printed is kept up to what the job allows, and holds nobody up.

use dx_scheduler::end::End;
use serde_json::json;

use crate::rig::{Rig, attempt, both, exec, sh};

/// Bytes that differ, without a line's end among most of them.
const NOISE: &str =
    "dd if=/dev/urandom bs=1M count=1 2>/dev/null >noise; for i in $(seq 1024); do cat noise; done";

#[test]
fn a_gigabyte_without_a_line_from_a_grandchild_is_complete_to_the_cap() {
    both(|mut rig| {
        let script = format!("(({NOISE}) &)");
        let id = attempt(1, 0);
        let finish = rig.caller.finish(id, &sh(&script));
        let cap = 64 << 20;
        assert_eq!((finish.end, finish.kept, finish.detached), (End::Succeeded, cap, true));
        assert!(finish.printed >= cap);
        assert_eq!(rig.caller.log(id)[0].len() as u64, cap);
    });
}

#[test]
fn a_gigabyte_from_the_command_itself_is_read_to_its_end() {
    let mut rig = Rig::new();
    let finish = rig.caller.finish(attempt(1, 0), &sh(NOISE));
    assert_eq!((finish.end, finish.kept, finish.printed), (End::Succeeded, 64 << 20, 1 << 30));
    assert!(!finish.detached);
    let part = rig.caller.read(attempt(1, 0), 0, false);
    assert_eq!(part.dropped, finish.printed - finish.kept);
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", rig.shim.process.id())).unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 64 << 10, "{peak}");
}

#[test]
fn a_log_can_be_followed_while_it_is_written() {
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    let pipe = rig.folder.path().join("go");
    let script = format!("echo first; mkfifo {0}; cat {0}; echo last", pipe.display());
    rig.caller.run(id, &sh(&script));
    let first = rig.caller.read(id, 0, true);
    assert_eq!((&first.pieces[0].bytes[..], first.is_end), (&b"first\n"[..], false));
    while !pipe.exists() {
        std::thread::yield_now();
    }
    std::fs::write(&pipe, "between\n").unwrap();
    assert_eq!(rig.caller.log(id)[0], b"first\nbetween\nlast\n");
}

#[test]
fn output_goes_where_the_job_says() {
    let mut rig = Rig::new();
    let script = sh("echo out; echo err >&2");
    let mut with = |index, output: serde_json::Value| {
        let mut job = script.clone();
        job["output"] = output;
        let finish = rig.caller.finish(attempt(1, index), &job);
        (finish, rig.caller.log(attempt(1, index)))
    };
    let (_, log) = with(0, json!({ "capture": "merge" }));
    assert_eq!(log, [b"out\nerr\n".to_vec(), vec![]]);
    let (finish, log) = with(1, json!({ "capture": "null" }));
    assert_eq!((finish.printed, log), (0, [vec![], vec![]]));
    let (finish, log) = with(2, json!({ "drop_if_ok": true }));
    assert_eq!((finish.printed, finish.kept, log), (8, 0, [vec![], vec![]]));
    let (finish, log) = with(3, json!({ "max": "5B" }));
    assert_eq!((finish.printed, finish.kept), (8, 5));
    assert_eq!(log[0].len() + log[1].len(), 5);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out-{job}-{index}-{attempt}");
    let (finish, log) = with(4, json!({ "capture": { "file": file } }));
    assert_eq!((finish.kept, log), (8, [vec![], vec![]]));
    let written = std::fs::read_to_string(folder.path().join("out-1-4-1")).unwrap();
    assert_eq!(written, "out\nerr\n");
    let (finish, _) = with(5, json!({ "capture": { "file": "/no/such/folder/file" } }));
    assert!(finish.not_started.unwrap().reason.contains("/no/such/folder/file"));
}

#[test]
fn logs_stay_until_they_are_dropped() {
    use dx_scheduler::processor::Call;
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    rig.caller.finish(id, &exec(&["echo", "kept"]));
    rig.caller.call(Call::Forget(vec![id]));
    rig.caller.call(Call::Status(vec![id]));
    rig.caller.unknown(id);
    let part = rig.caller.read(id, 0, true);
    assert_eq!(
        (&part.pieces[0].bytes[..], part.is_end, part.is_known),
        (&b"kept\n"[..], true, true)
    );
    rig.caller.call(Call::DropLogs(vec![id]));
    assert!(!rig.caller.read(id, 0, true).is_known);
}
