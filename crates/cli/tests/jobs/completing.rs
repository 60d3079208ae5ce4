//! Completion in a shell: what there is, live.

use serde_json::{Value, json};

use super::fake::{Fake, finish, job, node};

/// What bash would offer after these words.
async fn offered(fake: &Fake, words: &[&str]) -> String {
    let mut command = fake.command(&[&["--", "dx"], words].concat());
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    command.env("_CLAP_IFS", "\n");
    let (exit, stdout, stderr) = finish(command.spawn().unwrap()).await;
    assert_eq!((exit, stderr.as_str()), (0, ""));
    stdout
}

#[tokio::test]
async fn jobs_and_nodes_that_there_are_are_offered() {
    let fake = Fake::start();
    fake.change(|known| {
        known.jobs.insert(41, job(41, "running", &json!({ "running": 1 })));
        known.jobs.insert(42, job(42, "running", &json!({ "running": 1 })));
        known.nodes = vec![node("n1", "ready", 0, &Value::Null)];
    });
    let jobs = offered(&fake, &["job", "cancel", ""]).await;
    for expected in ["last", "41", "42"] {
        assert!(jobs.lines().any(|line| line == expected), "{expected}: {jobs}");
    }
    let nodes = offered(&fake, &["nodes", "drain", ""]).await;
    assert!(nodes.lines().any(|line| line == "n1"), "{nodes}");
    assert!(offered(&fake, &["job", "can"]).await.contains("cancel"));
}

#[tokio::test]
async fn without_a_cluster_completion_is_silent() {
    let fake = Fake::start();
    fake.change(|known| known.away = u32::MAX);
    let jobs = offered(&fake, &["job", "show", ""]).await;
    assert!(jobs.lines().any(|line| line == "last"), "{jobs}");
}
