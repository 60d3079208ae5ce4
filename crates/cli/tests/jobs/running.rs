//! `dx run`: as if the command ran here.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;

use super::fake::{Event, Fake, attempt, finish, job, task};

fn piece(stream: &str, text: &str) -> Event {
    ("piece", json!({ "stream": stream, "at": 1_000, "text": text }))
}

fn end() -> Event {
    ("end", json!({ "dropped": 0 }))
}

/// A job 7 that printed something and exited with `code`.
fn ended(fake: &Fake, code: i32) {
    let state = if code == 0 { "succeeded" } else { "failed" };
    fake.change(|known| {
        let mut ended = job(7, state, &json!({ state: 1 }));
        ended["exit"] = code.into();
        known.jobs.insert(7, ended);
        known.tasks.insert((7, 0), task(7, 0, state, &[attempt(1, Some(code))]));
        let log = vec![piece("stdout", "out\n"), piece("stderr", "err\n"), end()];
        known.logs.insert((7, 0, 1), log);
    });
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

#[tokio::test]
async fn what_a_job_prints_and_how_it_ends_is_passed_on() {
    for code in [0, 3, 137] {
        let fake = Fake::start();
        ended(&fake, code);
        let (exit, stdout, stderr) = fake.run(&["run", "--quiet", "--", "sh", "-c", "x"]).await;
        assert_eq!((exit, stdout.as_str(), stderr.as_str()), (code, "out\n", "err\n"));
    }
}

#[tokio::test]
async fn a_job_is_what_the_command_line_says_literally() {
    let fake = Fake::start();
    ended(&fake, 0);
    let arguments = ["run", "-e", "A=$(rm) \"'\n", "--cpus", "0.5", "ls", "-l", "--all", "$HOME"];
    assert_eq!(fake.run(&arguments).await.0, 0);
    let spec = &fake.asked("/v1/jobs")[0];
    assert_eq!(spec["commands"], json!([{ "exec": ["ls", "-l", "--all", "$HOME"] }]));
    assert_eq!(spec["environment"], json!({ "A": "$(rm) \"'\n" }));
    assert_eq!(spec["resources"]["cpus"], json!(0.5));
    assert!(spec["request_id"].as_str().unwrap().starts_with("dx-"), "{spec}");
}

#[tokio::test]
async fn what_is_piped_in_is_given_to_the_job_and_too_much_is_refused() {
    let fake = Fake::start();
    ended(&fake, 0);
    let piped = async |bytes: Vec<u8>| {
        let mut command = fake.command(&["run", "--", "cat"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that reads no more is told so by its exit code.
        drop(stdin.write_all(&bytes).await);
        drop(stdin);
        finish(child).await
    };
    assert_eq!(piped(b"a b\n".to_vec()).await.0, 0);
    assert_eq!(fake.asked("/v1/jobs")[0]["stdin"], json!({ "text": "a b\n" }));
    let (exit, _, stderr) = piped(vec![b'x'; 1 << 20]).await;
    assert_eq!((exit, stderr.contains("more than 512 KiB")), (2, true), "{stderr}");
    let (exit, _, stderr) = piped(vec![0xff, 0xfe]).await;
    assert_eq!((exit, stderr.contains("no UTF-8 text")), (2, true), "{stderr}");
    assert_eq!(fake.asked("/v1/jobs").len(), 1);
}

#[tokio::test]
async fn a_controller_that_is_away_for_a_moment_changes_nothing() {
    let fake = Fake::start();
    ended(&fake, 0);
    fake.change(|known| known.away = 2);
    let (exit, stdout, stderr) = fake.run(&["run", "--", "true"]).await;
    assert_eq!((exit, stdout.as_str()), (0, "out\n"), "{stderr}");
    assert!(stderr.contains("does not reach the controller; trying again"), "{stderr}");
}

#[tokio::test]
async fn a_log_goes_on_where_its_connection_broke() {
    let fake = Fake::start();
    ended(&fake, 0);
    fake.change(|known| {
        let cut = ("cut", Value::Null);
        let base64 = ("piece", json!({ "stream": "stdout", "at": 1, "base64": "IQo=" }));
        let log = vec![piece("stdout", "a"), cut, piece("stdout", "b"), base64, end()];
        known.logs.insert((7, 0, 1), log);
    });
    let (exit, stdout, stderr) = fake.run(&["run", "--", "true"]).await;
    assert_eq!((exit, stdout.as_str()), (0, "ab!\n"), "{stderr}");
}

#[tokio::test]
async fn a_task_that_runs_again_is_followed_into_its_next_attempt() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(7, job(7, "running", &json!({ "backoff": 1 })));
        known.tasks.insert((7, 0), task(7, 0, "backoff", &[attempt(1, Some(1))]));
        known.logs.insert((7, 0, 1), vec![piece("stdout", "first\n"), end()]);
        known.logs.insert((7, 0, 2), vec![piece("stdout", "second\n"), end()]);
    });
    let child = fake.command(&["run", "--", "true"]).spawn().unwrap();
    fake.until_asked("/v1/jobs", 1).await;
    fake.change(|known| {
        let mut ended = job(7, "succeeded", &json!({ "succeeded": 1 }));
        ended["exit"] = 0.into();
        known.jobs.insert(7, ended);
        let attempts = [attempt(1, Some(1)), attempt(2, Some(0))];
        known.tasks.insert((7, 0), task(7, 0, "succeeded", &attempts));
    });
    let (exit, stdout, stderr) = finish(child).await;
    assert_eq!((exit, stdout.as_str()), (0, "first\nsecond\n"), "{stderr}");
    assert!(stderr.contains("7.0 runs again: attempt 2"), "{stderr}");
}

#[tokio::test]
async fn ctrl_c_cancels_and_waits_and_pressed_again_kills() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(7, job(7, "waiting", &json!({ "queued": 1 })));
        known.tasks.insert((7, 0), task(7, 0, "queued", &[]));
    });
    let child = fake.command(&["run", "--", "sleep", "60"]).spawn().unwrap();
    fake.until_asked("/v1/jobs", 1).await;
    interrupt(&child);
    fake.until_asked("/v1/cancel", 1).await;
    interrupt(&child);
    fake.until_asked("/v1/cancel", 2).await;
    let asked = fake.asked("/v1/cancel");
    assert_eq!(asked[0], json!({ "what": ["7"], "now": false }));
    assert_eq!(asked[1], json!({ "what": ["7"], "now": true }));
    fake.change(|known| {
        known.jobs.insert(7, job(7, "cancelled", &json!({ "cancelled": 1 })));
        known.tasks.insert((7, 0), task(7, 0, "cancelled", &[]));
    });
    let (exit, _, stderr) = finish(child).await;
    assert_eq!(exit, 130, "{stderr}");
    assert!(stderr.contains("killing job 7"), "{stderr}");
}

#[tokio::test]
async fn an_array_is_followed_task_by_task_and_its_lines_say_whose_they_are() {
    let fake = Fake::start();
    fake.change(|known| {
        let mut ended = job(7, "failed", &json!({ "succeeded": 49, "failed": 1 }));
        ended["exit"] = 1.into();
        known.jobs.insert(7, ended);
        for index in 0..50 {
            let (state, code) = if index == 33 { ("failed", 4) } else { ("succeeded", 0) };
            known.tasks.insert((7, index), task(7, index, state, &[attempt(1, Some(code))]));
            known.logs.insert((7, index, 1), vec![piece("stdout", "hello"), end()]);
        }
    });
    let (exit, stdout, stderr) = fake.run(&["run", "--array", "0-49", "--", "true"]).await;
    assert_eq!((exit, stderr.as_str()), (1, "dx: 7.33 exited with 4 on n2\n"));
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..50).map(|index| format!("7.{index}: hello")).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn whoever_looks_on_is_told_why_a_job_waits() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(7, job(7, "waiting", &json!({ "queued": 1 })));
        let mut queued = task(7, 0, "queued", &[]);
        queued["reason"] = "no node has a label `gpu`".into();
        known.tasks.insert((7, 0), queued);
    });
    let mut child = fake.command(&["run", "--", "true"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = stderr.next_line().await.unwrap().unwrap();
    assert_eq!(line, "dx: 7.0 is queued: no node has a label `gpu`");
    interrupt(&child);
    fake.until_asked("/v1/cancel", 1).await;
    ended(&fake, 1);
    assert_eq!(finish(child).await.0, 130);
}

#[tokio::test]
async fn a_job_whose_output_nobody_reads_is_cancelled() {
    let fake = Fake::start();
    ended(&fake, 0);
    let mut child = fake.command(&["run", "--", "yes"]).spawn().unwrap();
    drop(child.stdout.take());
    let (exit, _, stderr) = finish(child).await;
    assert_eq!((exit, fake.asked("/v1/cancel").len()), (0, 1), "{stderr}");
}
