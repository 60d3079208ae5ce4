//! Whatever a task started is gone before its end is told.

use dx_scheduler::end::{End, Exit};
use serde_json::{Value, json};

use crate::rig::{Rig, attempt, both, exec, processes_with, sh, unique, wait_for_file};

/// A task that goes out of its way to live on: two processes that ignore SIGTERM, one of them in a
/// session of its own, orphaned, without a way to its output. `mark` is among their arguments.
fn tenacious(mark: &str, ready: &str) -> Value {
    let hidden = format!(
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep {mark} & sleep {mark}' </dev/null >/dev/null 2>&1 &"
    );
    sh(&format!(
        "{hidden} trap '' TERM; echo yes > {ready}; sleep {mark}; sleep {mark}; sleep {mark}"
    ))
}

fn with(mut job: Value, more: &Value) -> Value {
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// Starts a tenacious task, and waits until all of it runs.
fn tenacity(rig: &mut Rig, more: &Value) -> (dx_scheduler::id::AttemptId, String) {
    let (id, mark) = (attempt(3, 1), unique());
    let ready = rig.folder.path().join("ready");
    rig.caller.run(id, &with(tenacious(&mark, ready.to_str().unwrap()), more));
    rig.caller.started(id);
    wait_for_file(&ready);
    while processes_with(&mark).len() < 5 {
        std::thread::yield_now();
    }
    (id, mark)
}

#[test]
fn cancelling_ends_what_forked_daemonised_and_ignores_the_signal() {
    both(|mut rig| {
        let (id, mark) = tenacity(&mut rig, &json!({ "kill": { "grace": "50ms" } }));
        rig.caller.kill(id, false);
        let finish = rig.caller.ended(id);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        assert_eq!((finish.end, finish.yielded), (End::Cancelled, false));
        assert_eq!(finish.exit, Some(Exit::Signal(9)));
    });
}

#[test]
fn a_timeout_ends_all_of_it_too() {
    both(|mut rig| {
        let more = json!({ "kill": { "grace": "50ms" }, "timeout": "700ms" });
        let (id, mark) = tenacity(&mut rig, &more);
        let finish = rig.caller.ended(id);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        assert_eq!(finish.end, End::TimedOut);
    });
}

#[test]
fn now_means_without_grace() {
    both(|mut rig| {
        let (id, mark) = tenacity(&mut rig, &json!({ "kill": { "grace": "1h" } }));
        rig.caller.kill(id, false);
        rig.caller.kill(id, true);
        assert_eq!(rig.caller.ended(id).end, End::Cancelled);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
    });
}

#[test]
fn what_ends_by_itself_when_asked_has_yielded() {
    both(|mut rig| {
        let id = attempt(1, 0);
        let ready = rig.folder.path().join("ready");
        let script =
            format!("trap 'exit 5' INT; echo > {}; while :; do sleep 0.01; done", ready.display());
        let more = json!({ "kill": { "grace": "1h", "signal": "INT" } });
        rig.caller.run(id, &with(sh(&script), &more));
        rig.caller.started(id);
        wait_for_file(&ready);
        rig.caller.kill(id, false);
        let finish = rig.caller.ended(id);
        assert_eq!((finish.end, finish.yielded), (End::Cancelled, true));
        assert_eq!(finish.exit, Some(Exit::Code(5)));
    });
}

#[test]
fn a_grandchild_that_keeps_the_output_open_blocks_nobody() {
    both(|mut rig| {
        let (id, mark) = (attempt(1, 0), unique());
        let finish = rig.caller.finish(id, &sh(&format!("sleep {mark} & echo done")));
        assert_eq!((finish.end, finish.detached), (End::Succeeded, true));
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        assert_eq!(rig.caller.log(id)[0], b"done\n");
    });
}

#[test]
fn what_never_started_is_cancelled_without_a_process() {
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    rig.caller.run(id, &exec(&["sleep", "3600"]));
    rig.caller.kill(id, false);
    assert_eq!(rig.caller.ended(id).end, End::Cancelled);
    rig.caller.kill(attempt(8, 8), false);
    rig.caller.unknown(attempt(8, 8));
}

#[test]
fn commands_follow_each_other_up_to_the_first_that_fails() {
    both(|mut rig| {
        let commands = json!([
            { "exec": ["echo", "one"] }, { "exec": ["sh", "-c", "echo two; exit 4"] }, { "exec": ["echo", "three"] },
        ]);
        let finish = rig.caller.finish(attempt(1, 0), &json!({ "commands": commands }));
        assert_eq!(
            (finish.end, finish.command, finish.exit),
            (End::Failed, 1, Some(Exit::Code(4)))
        );
        assert_eq!(rig.caller.log(attempt(1, 0))[0], b"one\ntwo\n");
        let on = json!({ "commands": commands, "continue_on_error": true });
        let finish = rig.caller.finish(attempt(1, 1), &on);
        assert_eq!((finish.end, finish.command), (End::Failed, 1));
        assert_eq!(rig.caller.log(attempt(1, 1))[0], b"one\ntwo\nthree\n");
    });
}
