//! Jobs on a cluster of real processes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::terminal::User;

/// A cluster of two nodes that run jobs, in the background.
fn cluster(user: &User) {
    let node = |id: usize, roles: &str| {
        let port = user.ports[id - 1];
        format!("[node.n{id}]\nid = {id}\naddress = \"127.0.0.1:{port}\"\nroles = [{roles}]\n")
    };
    let nodes = node(1, "\"controller\", \"runner\"") + &node(2, "\"runner\"");
    let file = user.file("jobs.toml", &format!("[cluster]\nname = \"jobs\"\n{nodes}"));
    let (code, stdout, stderr) = user.run(&["up", file.to_str().unwrap(), "--detach"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
}

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tree")
}

#[test]
fn a_command_runs_as_if_it_ran_here() {
    let user = User::new();
    cluster(&user);
    for (script, code, out, err) in [
        ("echo out; echo err >&2", 0, "out\n", "err\n"),
        ("printf '%s' \"$A\"; exit 7", 7, "$(id) \"'\n", ""),
        ("kill -9 $$", 137, "", ""),
    ] {
        let command = ["run", "-q", "-e", "A=$(id) \"'\n", "--", "sh", "-c", script];
        assert_eq!(user.run(&command), (code, out.to_owned(), err.to_owned()), "{script}");
    }
    let (code, stdout, stderr) = user.run(&["run", "-q", "--", "no-such-program"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, "", ""));
    // What was submitted is there, and says of itself what it did.
    let jobs = user.json(&["job", "ls"]);
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 4);
    let explained = user.json(&["job", "explain", "2"]);
    assert!(explained["steps"].as_array().unwrap().len() >= 4, "{explained}");
    assert_eq!(user.json(&["query", "finished"]), Value::Bool(true));
    assert_eq!(user.run(&["down"]).0, 0);
}

#[test]
fn what_failed_runs_again_and_its_output_is_followed_through_all_attempts() {
    let user = User::new();
    cluster(&user);
    let script = "echo attempt $DX_ATTEMPT; test $DX_ATTEMPT = 3";
    let options = ["--max-attempts", "2", "--backoff", "10ms"];
    let job = [&["job", "submit"], &options[..], &["--", "sh", "-c", script]].concat();
    assert_eq!(user.run(&job).1, "1\n");
    assert_eq!(user.run(&["job", "wait", "1"]).0, 1);
    let (code, stdout, _) = user.run(&["job", "logs", "1", "--all"]);
    assert_eq!((code, stdout.as_str()), (0, "attempt 1\nattempt 2\n"));
    let (code, _, stderr) = user.run(&["job", "retry", "--failed", "1"]);
    assert_eq!((code, stderr.as_str()), (0, "dx: 1 task to run again\n"));
    let (code, stdout, stderr) = user.run(&["job", "logs", "-f", "-a", "1"]);
    assert_eq!((code, stdout.as_str()), (0, "attempt 1\nattempt 2\nattempt 3\n"), "{stderr}");
    assert_eq!(user.run(&["job", "wait", "1"]).0, 0);
    assert_eq!(user.run(&["down"]).0, 0);
}

#[test]
fn the_example_merges_to_what_one_machine_alone_finds() {
    let user = User::new();
    cluster(&user);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a b", "1\n2\n"), ("c", ""), ("d/e", "x"), ("d/\"f'", "\n\n\n")] {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let shell = |script: &str| {
        let command = user.command(&[]);
        let path = Path::new(env!("CARGO_BIN_EXE_dx")).parent().unwrap().to_owned();
        let paths = std::env::join_paths(
            std::iter::once(path).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let state = command.get_envs().find(|(name, _)| *name == "XDG_STATE_HOME");
        let state = state.unwrap().1.unwrap().to_owned();
        let output = Command::new("sh")
            .args(["-euc", script, "sh"])
            .args([tree().join("run"), folder.path().to_owned()])
            .env("PATH", paths.unwrap())
            .env("XDG_STATE_HOME", state)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let merged = shell("\"$1\" \"$2\" 3");
    let alone = shell(
        "find . -type f | LC_ALL=C sort | while IFS= read -r f; do sha256sum < \"$f\"; done \
         | cut -d ' ' -f 1 | sha256sum | cut -d ' ' -f 1",
    );
    let expected = format!("sha256 of the tree: {alone}");
    assert!(merged.starts_with("4 files, 5 lines, 8 bytes, "), "{merged}");
    assert!(merged.ends_with(&expected), "{merged}{expected}");
    assert_eq!(user.run(&["down"]).0, 0);
}
