//! What runs, runs as its job says.

use dx_scheduler::end::{End, Exit, Fault};
use serde_json::json;

use crate::rig::{Rig, attempt, exec, sh};

#[test]
fn a_command_runs_and_its_output_is_kept_apart() {
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    let finish = rig.caller.finish(id, &sh("echo out; echo err >&2; exit 3"));
    assert_eq!((finish.end, finish.exit), (End::Failed, Some(Exit::Code(3))));
    assert_eq!((finish.printed, finish.kept), (8, 8));
    assert_eq!(rig.caller.log(id), [b"out\n".to_vec(), b"err\n".to_vec()]);
}

#[test]
fn the_environment_is_literal_and_nothing_else_is_inherited() {
    let mut rig = Rig::new();
    let id = attempt(4, 2);
    let value = "a $(touch hole) `x` 'y' \"z\" $HOME\nsecond line \\ * ~";
    let job = json!({
        "commands": [{ "exec": ["env", "-0"] }],
        "environment": { "VALUE": value, "PATH": "/usr/bin:/bin" },
    });
    assert_eq!(rig.caller.finish(id, &job).end, End::Succeeded);
    let [out, _] = rig.caller.log(id);
    let out = String::from_utf8(out).unwrap();
    let all: Vec<(&str, &str)> =
        out.split_terminator('\0').map(|it| it.split_once('=').unwrap()).collect();
    let of = |name| all.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    assert_eq!(of("VALUE"), Some(value));
    assert_eq!((of("DX_JOB_ID"), of("DX_TASK_INDEX")), (Some("4"), Some("2")));
    assert_eq!((of("DX_ATTEMPT"), of("DX_NODE")), (Some("1"), Some("7")));
    let known = ["PATH", "HOME", "USER", "LANG", "TMPDIR", "VALUE"];
    let others: Vec<_> =
        all.iter().filter(|(name, _)| !name.starts_with("DX_") && !known.contains(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_task_finds_its_item_or_its_values_of_the_matrix_literally() {
    let mut rig = Rig::new();
    let print =
        json!([{ "exec": ["sh", "-c", "printf '%s|%s|%s' \"$DX_ITEM\" \"$OS\" \"$SEED\""] }]);
    let items = json!({ "commands": print, "items": ["a", "$(touch hole) 'b'\n"] });
    let matrix = json!({ "commands": print, "matrix": { "OS": ["x", "y z"], "SEED": ["1", "2"] } });
    for (job, index, printed) in [
        (&items, 0, "a||"),
        (&items, 1, "$(touch hole) 'b'\n||"),
        (&matrix, 0, "|x|1"),
        (&matrix, 1, "|x|2"),
        (&matrix, 2, "|y z|1"),
    ] {
        let id = attempt(if job == &items { 1 } else { 2 }, index);
        assert_eq!(rig.caller.finish(id, job).end, End::Succeeded);
        assert_eq!(rig.caller.log(id), [printed.as_bytes().to_vec(), Vec::new()]);
    }
}

/// Whoever submits from a folder thinks of that one.
#[test]
fn a_program_that_is_looked_for_in_the_tasks_own_folder_is_said_to_be() {
    let mut rig = Rig::new();
    for (index, cwd, is_said) in [(0, None, true), (1, Some("/"), false)] {
        let spec = json!({ "commands": [{ "exec": ["./train.sh"] }], "cwd": cwd });
        let why = rig.caller.finish(attempt(1, index), &spec).not_started.unwrap();
        assert_eq!(why.reason.contains("`./train.sh` in the task's own"), is_said, "{why:?}");
    }
}

#[test]
fn a_program_that_does_not_exist_is_the_jobs_fault() {
    let mut rig = Rig::new();
    for (index, program) in
        ["no-such-program", "/no/such/program", "/etc/passwd"].iter().enumerate()
    {
        let finish = rig.caller.finish(attempt(1, index as u32), &exec(&[program]));
        let why = finish.not_started.unwrap();
        assert_eq!((finish.end, why.fault), (End::Failed, Fault::Job), "{program}: {}", why.reason);
        assert!(why.reason.contains(program), "{}", why.reason);
    }
}
