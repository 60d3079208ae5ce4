//! Who may talk to a shim, and what it says of itself.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use dx_scheduler::end::End;
use dx_scheduler::processor::{Progress, Told};
use dx_scheduler::shim::{SOCKET, wire};
use serde_json::json;

use crate::rig::{Caller, Rig, attempt, exec, sh};

#[test]
fn strangers_and_other_versions_are_sent_away_and_disturb_nobody() {
    let mut rig = Rig::new();
    let mut later = wire::greeting();
    later[8] = 0xff;
    for greeting in [&later[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 100]] {
        let mut stream = UnixStream::connect(rig.shim.folder.join(SOCKET)).unwrap();
        stream.write_all(greeting).unwrap();
        let mut answer = Vec::new();
        // It may be cut off, as it was not heard to its end.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, wire::greeting());
    }
    let mut stream = UnixStream::connect(rig.shim.folder.join(SOCKET)).unwrap();
    stream.write_all(&wire::greeting()).unwrap();
    stream.write_all(&[5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(rig.caller.finish(attempt(1, 0), &exec(&["true"])).end, End::Succeeded);
}

#[test]
fn its_socket_and_secrets_are_its_users_alone() {
    let rig = Rig::new();
    for (name, mode) in [("", 0o700), ("socket", 0o600), ("secret", 0o600), ("lock", 0o600)] {
        let metadata = std::fs::metadata(rig.shim.folder.join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn neither_environment_nor_arguments_of_a_job_are_in_its_notes() {
    let mut rig = Rig::new();
    let job = json!({
        "commands": [{ "exec": ["no-such-program", "hunter2"] }],
        "environment": { "TOKEN": "hunter3" },
    });
    rig.caller.finish(attempt(1, 0), &job);
    let notes = std::fs::read_to_string(rig.shim.folder.join("notes")).unwrap();
    assert!(notes.contains("begins") && !notes.contains("hunter"), "{notes}");
}

#[test]
fn tasks_say_how_far_they_are() {
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    let go = rig.folder.path().join("go");
    let script = format!(
        "mkfifo {0}; echo 'read the input 1 3' >> $DX_PROGRESS; cat {0}; echo 'write 3' >> $DX_PROGRESS; cat {0}",
        go.display()
    );
    rig.caller.run(id, &sh(&script));
    let next = |rig: &mut Rig| {
        rig.caller.wait(|told| match told {
            Told::Progress { attempt, progress } if *attempt == id => Some(progress.clone()),
            _ => None,
        })
    };
    let first = Progress { label: "read the input".to_owned(), step: 1, total: Some(3) };
    assert_eq!(next(&mut rig), first);
    std::fs::write(&go, "").unwrap();
    let second = Progress { label: "write".to_owned(), step: 3, total: None };
    assert_eq!(next(&mut rig), second);
    std::fs::write(&go, "").unwrap();
    assert_eq!(rig.caller.ended(id).end, End::Succeeded);
}

#[test]
fn a_task_without_a_folder_of_its_job_has_an_empty_one_that_is_emptied_with_it() {
    let mut rig = Rig::new();
    let id = attempt(1, 0);
    rig.caller.finish(id, &sh("pwd; test $PWD = $DX_TASK_DIR && touch left && mkdir -p a/b"));
    let [out, _] = rig.caller.log(id);
    let folder = std::path::PathBuf::from(String::from_utf8(out).unwrap().trim());
    assert!(folder.starts_with(&rig.shim.folder), "{folder:?}");
    rig.written(id);
    assert_eq!(std::fs::read_dir(&folder).map_or(0, Iterator::count), 0);
    let mut missing = exec(&["true"]);
    missing["cwd"] = json!("/no/such/folder");
    let why = rig.caller.finish(attempt(1, 1), &missing).not_started.unwrap();
    assert!(why.reason.contains("/no/such/folder"), "{}", why.reason);
}

#[test]
fn stdin_is_a_text_a_file_or_nothing() {
    let mut rig = Rig::new();
    let long = "line\n".repeat(40_000);
    let file = rig.folder.path().join("in");
    std::fs::write(&file, "from a file").unwrap();
    let inputs = [
        (json!(null), ""),
        (json!({ "text": long }), &long[..]),
        (json!({ "file": file }), "from a file"),
    ];
    for (index, (stdin, expected)) in inputs.into_iter().enumerate() {
        let mut job = exec(&["cat"]);
        if !stdin.is_null() {
            job["stdin"] = stdin;
        }
        let id = attempt(1, index as u32);
        assert_eq!(rig.caller.finish(id, &job).end, End::Succeeded);
        assert_eq!(String::from_utf8(rig.caller.log(id)[0].clone()).unwrap(), expected);
    }
}

#[test]
fn usage_is_told_each_second_and_the_machine_at_once() {
    let mut rig = Rig::new();
    assert!(rig.caller.hello.machine.cpus >= 1000);
    let usage = rig.caller.wait(|told| match told {
        Told::Usage(usage) => Some(usage.clone()),
        _ => None,
    });
    assert!(usage.memory.0 > 0 && usage.memory.1 > usage.memory.0);
    assert_eq!(usage.cores.len() as u32 * 1000, rig.caller.hello.machine.cpus);
}

#[test]
fn a_folder_however_deep_has_room_for_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(100)).join("e".repeat(100));
    let mut shim = crate::rig::Shim::start(&deep, &[]);
    drop(Caller::connect(&deep));
    shim.kill();
}
