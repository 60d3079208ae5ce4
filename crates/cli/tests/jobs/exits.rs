//! Exit codes: an interface, so each has its test.

use serde_json::{Value, json};

use super::fake::{Fake, job};

fn ended(id: u64, exit: i32, counts: &Value) -> Value {
    let state = if exit == 0 { "succeeded" } else { "failed" };
    let mut job = job(id, state, counts);
    job["exit"] = exit.into();
    job
}

#[tokio::test]
async fn waiting_passes_on_how_jobs_ended() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(1, ended(1, 0, &json!({ "succeeded": 1 })));
        known.jobs.insert(2, ended(2, 42, &json!({ "failed": 1 })));
        known.jobs.insert(3, ended(3, 137, &json!({ "failed": 1 })));
        known.jobs.insert(4, ended(4, 1, &json!({ "failed": 2, "succeeded": 98 })));
    });
    for (what, code) in [
        (&["1"][..], 0),
        (&["2"][..], 42),
        (&["3"][..], 137),
        (&["4"][..], 1),
        (&["last"][..], 1),
        (&["1", "2"][..], 1),
        (&["1-3"][..], 1),
        (&["2", "--always-zero"][..], 0),
    ] {
        let (exit, _, stderr) = fake.run(&[&["job", "wait"], what].concat()).await;
        assert_eq!(exit, code, "{what:?}: {stderr}");
    }
    let (_, _, stderr) = fake.run(&["job", "wait", "4"]).await;
    assert_eq!(stderr, "dx: job 4 failed: 98 succeeded, 2 failed\n");
}

#[tokio::test]
async fn waiting_ends_with_the_job_or_with_its_own_time() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(7, job(7, "running", &json!({ "running": 1 })));
    });
    let (exit, _, stderr) = fake.run(&["job", "wait", "7", "--timeout", "50ms"]).await;
    assert_eq!((exit, stderr.contains("within 50ms; they go on")), (124, true), "{stderr}");
    let child = fake.command(&["job", "wait", "7", "--json"]).spawn().unwrap();
    fake.change(|known| {
        known.jobs.insert(7, ended(7, 3, &json!({ "failed": 1 })));
    });
    let (exit, stdout, _) = super::fake::finish(child).await;
    assert_eq!(exit, 3);
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["exit"], json!(3));
}

#[tokio::test]
async fn what_is_not_there_is_3_and_who_is_not_there_is_69() {
    let fake = Fake::start();
    for arguments in [
        &["job", "show", "9"][..],
        &["job", "wait", "9"],
        &["job", "logs", "last"],
        &["job", "cancel", "1-5"],
        &["job", "explain", "@team=blue"],
        &["nodes", "show", "n9"],
    ] {
        let (exit, stdout, stderr) = fake.run(arguments).await;
        assert_eq!((exit, stdout.as_str()), (3, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("dx: ") && stderr.lines().count() == 1, "{stderr}");
    }
    let mut elsewhere = fake.command(&["job", "ls"]);
    let folder = tempfile::tempdir().unwrap();
    let child = elsewhere.env("XDG_STATE_HOME", folder.path()).spawn().unwrap();
    let (exit, _, stderr) = super::fake::finish(child).await;
    assert_eq!(exit, 69);
    assert_eq!(stderr, "dx: no cluster runs here: start one with `dx up`\n");
}

#[tokio::test]
async fn a_mistake_on_the_command_line_is_2_and_asks_nobody() {
    let fake = Fake::start();
    for (arguments, expected) in [
        (&["job", "show", "seven"][..], "names no jobs: write `7`, `7.3`"),
        (&["job", "ls", "--state", "faild"], "unknown variant `faild`, expected one of `waiting`"),
        (&["run"], "`commands`: there is nothing to run: give a command"),
        (&["run", "--timeout", "5", "true"], "a unit is missing: write `5s`"),
        (&["run", "--memory", "64", "true"], "a unit is missing: write `64MiB`"),
        (&["run", "--env", "DX_TEST_UNSET", "true"], "write `DX_TEST_UNSET=VALUE`"),
        (&["run", "--array", "9-1", "true"], "`array`: `9-1` is no range: write `0-99`"),
        (&["run", "--output", "megre", "true"], "it can be `split`, `merge`, `null`"),
        (&["run", "--retry-on", "exit,opm", "true"], "unknown variant `opm`"),
        (&["run", "--constraint", "zone", "true"], "write `label=value`"),
        (&["job", "cancel"], "<WHAT>..."),
        (&["--cluster", "x", "run", "true"], "unexpected argument '--cluster'"),
        (&["run", "--cluster", "loacl", "true"], "did you mean `local`?"),
    ] {
        let (exit, stdout, stderr) = fake.run(arguments).await;
        assert_eq!((exit, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert!(fake.known.lock().unwrap().asked.is_empty());
}
