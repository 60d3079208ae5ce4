//! Looking at jobs: lists, details, logs, explanations.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fake::{Fake, attempt, finish, job, task};

fn some_jobs(fake: &Fake) {
    fake.change(|known| {
        for id in 1..=30 {
            let mut job = job(id, "succeeded", &json!({ "succeeded": 2 }));
            job["name"] = format!("job-{id}").into();
            job["labels"] = json!({ "team": if id % 2 == 0 { "blue" } else { "red" } });
            known.jobs.insert(id, job);
        }
        let counts = json!({ "running": 1, "queued": 1, "failed": 1 });
        known.jobs.insert(31, job(31, "running", &counts));
        known.tasks.insert((31, 0), task(31, 0, "failed", &[attempt(1, Some(3))]));
        known.tasks.insert((31, 1), task(31, 1, "running", &[attempt(1, None)]));
        let mut queued = task(31, 2, "queued", &[]);
        queued["reason"] = "no node has a label `gpu`".into();
        known.tasks.insert((31, 2), queued);
    });
}

#[tokio::test]
async fn the_newest_jobs_are_listed_and_more_if_asked() {
    let fake = Fake::start();
    some_jobs(&fake);
    let (exit, stdout, stderr) = fake.run(&["job", "ls"]).await;
    assert_eq!((exit, stdout.lines().count()), (0, 21), "{stdout}");
    let first: Vec<&str> = stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(first[..6], ["31", "-", "running", "3", "1", "1"], "{stdout}");
    assert!(stderr.contains("there are more: `--all`"), "{stderr}");
    let count = async |more: &[&str]| {
        let (_, stdout, _) = fake.run(&[&["job", "ls", "--json"], more].concat()).await;
        let page: Value = serde_json::from_str(&stdout).unwrap();
        page["jobs"].as_array().unwrap().len()
    };
    assert_eq!(count(&["--all"]).await, 31);
    assert_eq!(count(&["-n", "5"]).await, 5);
    assert_eq!(count(&["--label", "team=blue", "--all"]).await, 15);
    assert_eq!(count(&["--state", "running"]).await, 1);
    assert_eq!(count(&["3-5", "7", "last"]).await, 5);
    assert_eq!(count(&["@team=red"]).await, 15);
}

#[tokio::test]
async fn a_job_is_shown_with_its_tasks_and_why_they_do_not_run() {
    let fake = Fake::start();
    some_jobs(&fake);
    let (_, stdout, _) = fake.run(&["job", "show"]).await;
    for expected in [
        "tasks      1 queued, 1 running, 1 failed",
        "submitted  1970-01-01T00:00:01.000Z (",
        "31.0  failed",
        "exited with 3 on n2",
        "no node has a label `gpu`",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    assert!(!stdout.contains('\x1b'), "colours that no terminal asked for: {stdout:?}");
    let (_, stdout, _) = fake.run(&["job", "show", "31.1-2", "--json"]).await;
    let json: Value = serde_json::from_str(&stdout).unwrap();
    let listed = json["listed"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["index"], &json["id"]), (2, &json!(1), &json!(31)));
    let (_, stdout, _) = fake.run(&["job", "show", "31", "--state", "queued", "--json"]).await;
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["listed"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_that_a_job_says_reaches_the_terminal_as_a_command() {
    let fake = Fake::start();
    fake.change(|known| {
        let mut job = job(1, "failed", &json!({ "failed": 1 }));
        job["name"] = "\x1b[2J".into();
        job["command"] = "echo \x1b]0;x\x07".into();
        job["labels"] = json!({ "a": "\x1b[1m" });
        known.jobs.insert(1, job);
        let mut task = task(1, 0, "lost", &[attempt(1, None)]);
        task["reason"] = "\x1b[31m".into();
        known.tasks.insert((1, 0), task);
    });
    for arguments in [&["job", "ls"][..], &["job", "show", "1"], &["query", "tasks"]] {
        let (_, stdout, _) = fake.run(arguments).await;
        assert!(!stdout.contains(['\x1b', '\x07']), "{stdout:?}");
    }
}

fn with_logs(fake: &Fake) {
    some_jobs(fake);
    let said = |text: &str| {
        let piece = json!({ "stream": "stdout", "at": 1_000, "text": text });
        vec![("piece", piece), ("end", json!({ "dropped": 0 }))]
    };
    fake.change(|known| {
        known
            .tasks
            .insert((30, 0), task(30, 0, "failed", &[attempt(1, Some(1)), attempt(2, Some(1))]));
        known.logs.insert((30, 0, 1), said("first\n"));
        known.logs.insert((30, 0, 2), said("second"));
        known.tasks.insert((30, 1), task(30, 1, "succeeded", &[attempt(1, Some(0))]));
        known.logs.insert((30, 1, 1), said("other\n"));
    });
}

#[tokio::test]
async fn logs_are_those_of_the_last_attempt_unless_others_are_named() {
    let fake = Fake::start();
    with_logs(&fake);
    for (more, expected) in [
        (&["30.0"][..], "second"),
        (&["30.0", "--attempt", "1"], "first\n"),
        (&["30.0", "--all"], "first\nsecond"),
        (&["30"], "30.0: second\n30.1: other\n"),
        (&["30.1", "-t"], "1970-01-01T00:00:01.000Z other\n"),
    ] {
        let (exit, stdout, stderr) = fake.run(&[&["job", "logs"], more].concat()).await;
        assert_eq!((exit, stdout.as_str()), (0, expected), "{more:?}: {stderr}");
    }
    // They are followed side by side.
    let (exit, stdout, stderr) = fake.run(&["job", "logs", "30", "-f"]).await;
    let lines: BTreeSet<&str> = stdout.lines().collect();
    let expected = BTreeSet::from(["30.0: second", "30.1: other"]);
    assert_eq!((exit, lines), (0, expected), "{stderr}");
    let (_, stdout, _) = fake.run(&["job", "logs", "30.1", "--json"]).await;
    let piece: Value = serde_json::from_str(&stdout).unwrap();
    let expected = json!({
        "job": 30, "index": 1, "attempt": 1, "stream": "stdout", "at": 1_000, "text": "other\n",
    });
    assert_eq!(piece, expected);
}

#[tokio::test]
async fn a_task_that_has_not_run_says_so_and_is_no_failure() {
    let fake = Fake::start();
    some_jobs(&fake);
    let (exit, stdout, stderr) = fake.run(&["job", "logs", "31.2"]).await;
    assert_eq!((exit, stdout.as_str()), (0, ""));
    assert_eq!(stderr, "dx: 31.2 has not run yet, and has printed nothing\n");
}

#[tokio::test]
async fn an_explanation_is_a_walk_through_what_happened_with_its_times() {
    let fake = Fake::start();
    some_jobs(&fake);
    fake.change(|known| {
        let steps = json!([
            { "at": 1_000, "what": "submitted by ann" },
            { "at": 2_500, "what": "queued" },
            { "at": 63_500, "what": "node n2 was full" },
        ]);
        let causes = json!([
            { "code": "no_node_with_label", "what": "no node has a label `gpu`",
              "hint": "nodes have: zone" },
        ]);
        let mut queued = task(31, 0, "queued", &[]);
        queued["reason"] = "no node has a label `gpu`".into();
        let explained = json!({ "task": queued, "steps": steps, "causes": causes });
        known.explanations.insert((31, 0), explained);
    });
    let (exit, stdout, stderr) = fake.run(&["job", "explain", "31"]).await;
    assert_eq!(exit, 0, "{stderr}");
    insta::assert_snapshot!(stdout);
    let (exit, stdout, _) = fake.run(&["job", "explain", "31.0", "--json"]).await;
    assert_eq!(exit, 0);
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["steps"][1]["at"], json!(2_500));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_log_without_a_word() {
    let fake = Fake::start();
    with_logs(&fake);
    fake.change(|known| {
        let line = json!({ "stream": "stdout", "at": 1, "text": "x".repeat(1 << 16) });
        let mut log = vec![("piece", line); 64];
        log.push(("end", json!({})));
        known.logs.insert((30, 1, 1), log);
    });
    let mut child = fake.command(&["job", "logs", "30.1"]).spawn().unwrap();
    drop(child.stdout.take());
    let (exit, _, stderr) = finish(child).await;
    assert_eq!((exit, stderr.as_str()), (0, ""));
}
