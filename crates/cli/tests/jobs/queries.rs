//! The seven queries, word for word.

use serde_json::{Value, json};

use super::fake::{Fake, attempt, job, node, task};

/// Two nodes, and three jobs: one that waits, one that runs, one that has ended.
fn world(fake: &Fake) {
    fake.change(|known| {
        let usage = json!({
            "cpu": 0.5, "cores": [0.25, 0.75], "memory": [1, 4], "swap": [0, 0], "gpus": [],
        });
        // A reading of the far future is never stale, whatever the clock says.
        let fresh = json!([u64::MAX, usage]);
        let stale = json!([1_000, usage]);
        known.nodes = vec![
            node("n1", "ready", 0, &fresh),
            node("n2", "ready", 2, &stale),
            node("n3", "unknown", 0, &Value::Null),
        ];
        known.jobs.insert(1, job(1, "succeeded", &json!({ "succeeded": 1, "failed": 1 })));
        known.tasks.insert((1, 0), recently(task(1, 0, "succeeded", &[attempt(1, Some(0))])));
        known.tasks.insert((1, 1), recently(task(1, 1, "failed", &[attempt(1, Some(1))])));
        known.jobs.insert(2, job(2, "running", &json!({ "running": 1 })));
        known.tasks.insert((2, 0), recently(task(2, 0, "running", &[attempt(1, None)])));
        known.jobs.insert(3, job(3, "waiting", &json!({ "queued": 1 })));
        known.tasks.insert((3, 0), task(3, 0, "queued", &[]));
    });
}

#[tokio::test]
async fn queries_answer_in_these_words() {
    let fake = Fake::start();
    world(&fake);
    for query in [
        "executors",
        "finished",
        "resource-usage",
        "tasks",
        "tasks-finished",
        "tasks-pending",
        "tasks-running",
    ] {
        let (_, stdout, stderr) = fake.run(&["query", query]).await;
        assert_eq!(stderr, "", "{query}");
        insta::assert_snapshot!(query, stdout);
    }
}

/// `task`, whose last attempt was assigned half an hour ago and ended ten minutes later, if it has.
fn recently(mut task: Value) -> Value {
    let half_an_hour = 30 * 60 * 1000 + 5_000;
    let assigned = dx::jobs::now() - half_an_hour;
    for attempt in task["attempts"].as_array_mut().unwrap() {
        attempt["assigned"] = assigned.into();
        if !attempt["ended"].is_null() {
            attempt["ended"] = (assigned + 10 * 60 * 1000).into();
        }
    }
    task
}

#[tokio::test]
async fn programs_get_the_same_as_json() {
    let fake = Fake::start();
    world(&fake);
    let ask = async |query: &str| -> Value {
        let (_, stdout, _) = fake.run(&["query", query, "--json"]).await;
        serde_json::from_str(&stdout).unwrap()
    };
    assert_eq!(ask("executors").await, json!({ "idle": ["n1"], "busy": ["n2"] }));
    assert_eq!(ask("finished").await, json!(false));
    let usage = ask("resource-usage").await;
    assert_eq!((&usage["n1"]["cpu"], &usage["n2"]), (&json!(0.5), &json!("dead")));
    let tasks = ask("tasks").await;
    for (kind, ids) in [("pending", &[3][..]), ("running", &[2]), ("finished", &[1, 1])] {
        let of_it = tasks[kind].as_array().unwrap().iter();
        let jobs: Vec<u64> = of_it.map(|task| task["job"].as_u64().unwrap()).collect();
        assert_eq!(jobs, ids, "{kind}");
    }
}

#[tokio::test]
async fn all_is_finished_only_when_nothing_waits_or_runs() {
    let fake = Fake::start();
    let (exit, stdout, _) = fake.run(&["query", "finished"]).await;
    assert_eq!((exit, stdout.as_str()), (0, "true\n"));
    world(&fake);
    let (exit, stdout, _) = fake.run(&["query", "finished"]).await;
    assert_eq!((exit, stdout.as_str()), (1, "false\n"));
}

#[tokio::test]
async fn what_is_added_is_a_job() {
    let fake = Fake::start();
    let (exit, stdout, _) = fake.run(&["query", "add", "--", "true"]).await;
    assert_eq!((exit, stdout.as_str()), (0, "7\n"));
    assert_eq!(fake.asked("/v1/jobs")[0]["commands"], json!([{ "exec": ["true"] }]));
}
