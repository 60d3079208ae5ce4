//! Steering jobs: what is sent, and what is asked before.

use serde_json::{Value, json};

use super::fake::{Fake, job, node};

#[tokio::test]
async fn each_command_sends_what_it_says_and_reports_what_changed() {
    let fake = Fake::start();
    fake.change(|known| {
        for id in 1..=7 {
            let mut job = job(id, "running", &json!({ "running": 1 }));
            job["labels"] = json!({ "team": "blue" });
            known.jobs.insert(id, job);
        }
    });
    for (arguments, path, body, said) in [
        (
            &["job", "cancel", "7.0-3", "--now", "--reason", "wrong input"][..],
            "/v1/cancel",
            json!({ "what": ["7.0-3"], "now": true, "reason": "wrong input", "states": [] }),
            "dx: 1 task cancelled\n",
        ),
        (
            &["job", "retry", "--failed", "7"],
            "/v1/retry",
            json!({ "what": ["7"], "all": false, "states": [] }),
            "dx: 1 task to run again\n",
        ),
        (
            &["job", "hold", "1-3", "-s", "queued,backoff"],
            "/v1/hold",
            json!({ "what": ["1-3"], "states": ["queued", "backoff"] }),
            "dx: 1 task held\n",
        ),
        (
            &["job", "release", "last"],
            "/v1/release",
            json!({ "what": ["7"], "states": [] }),
            "dx: 1 task released\n",
        ),
        (
            &["job", "priority", "7", "--to", "-5"],
            "/v1/priority",
            json!({ "what": ["7"], "priority": -5 }),
            "dx: 1 task changed\n",
        ),
        (
            &["job", "rm", "6", "--force"],
            "/v1/remove",
            json!({ "what": ["6"], "force": true }),
            "dx: 1 job removed\n",
        ),
    ] {
        let (exit, stdout, stderr) = fake.run(arguments).await;
        assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, "", said), "{arguments:?}");
        assert_eq!(fake.asked(path), [body], "{arguments:?}");
    }
}

#[tokio::test]
async fn a_label_means_the_jobs_that_had_it_when_it_was_looked_up() {
    let fake = Fake::start();
    fake.change(|known| {
        for id in 1..=4 {
            let mut job = job(id, "running", &json!({ "running": 1 }));
            job["labels"] = json!({ "team": if id > 2 { "blue" } else { "red" } });
            known.jobs.insert(id, job);
        }
    });
    let (exit, stdout, stderr) = fake.run(&["job", "cancel", "@team=blue", "--json"]).await;
    assert_eq!((exit, stdout.as_str()), (0, "{\"changed\":1}\n"), "{stderr}");
    assert_eq!(fake.asked("/v1/cancel")[0]["what"], json!(["3", "4"]));
}

#[tokio::test]
async fn nodes_are_taken_out_of_use_and_a_mistyped_name_changes_nothing() {
    let fake = Fake::start();
    fake.change(|known| known.nodes = vec![node("n1", "ready", 0, &Value::Null)]);
    let (exit, _, stderr) = fake.run(&["nodes", "drain", "n1", "n9"]).await;
    assert_eq!((exit, fake.known.lock().unwrap().asked.len()), (3, 0), "{stderr}");
    let (exit, _, stderr) = fake.run(&["nodes", "drain", "n1", "--reason", "disk"]).await;
    assert_eq!((exit, stderr.as_str()), (0, "dx: n1 is ready\n"));
    assert_eq!(fake.asked("/v1/nodes/n1/drain"), [json!({ "reason": "disk" })]);
    assert_eq!(fake.run(&["nodes", "undrain", "n1"]).await.0, 0);
    assert_eq!(fake.asked("/v1/nodes/n1/undrain").len(), 1);
}
