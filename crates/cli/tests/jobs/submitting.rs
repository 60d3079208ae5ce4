//! `dx job submit`: what of files and options becomes the job.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::fake::{Fake, finish, job};

const FILE: &str = r#"
name = "hash"
array = "0-3"
labels = { team = "blue" }
environment = { MODE = "fast" }

[[commands]]
exec = ["sha256sum", "a"]

[[commands]]
exec = ["true"]

[retry]
max_attempts = 3
on = ["exit"]

[output]
capture = { file = "/tmp/{job}" }
"#;

#[tokio::test]
async fn standard_output_is_the_number_and_nothing_else() {
    let fake = Fake::start();
    let (exit, stdout, stderr) = fake.run(&["job", "submit", "--", "true"]).await;
    assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, "7\n", ""));
    let (_, stdout, _) = fake.run(&["job", "submit", "--json", "--", "true"]).await;
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json, json!({ "job": 7, "is_repeat": false, "warnings": [] }));
}

const SEVERAL: &str = r#"
[job.fetch]
commands = [{ exec = ["true"] }]

[job.build]
after_ok = ["fetch:each", 3]
commands = [{ exec = ["make"] }]
"#;

#[tokio::test]
async fn a_file_of_several_jobs_is_sent_as_one_and_each_number_told_with_its_name() {
    let fake = Fake::start();
    let file = fake.file("jobs.toml", SEVERAL);
    let (exit, stdout, stderr) =
        fake.run(&["job", "submit", &file, "--set", "job.build.priority=3"]).await;
    assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, "7 fetch\n8 build\n", ""));
    let asked = &fake.asked("/v1/graphs")[0]["job"];
    assert_eq!(asked["build"]["after_ok"], json!(["fetch:each", 3]));
    assert_eq!(asked["build"]["priority"], 3);
    let ids = ["fetch", "build"].map(|name| asked[name]["request_id"].as_str().unwrap());
    assert_ne!(ids[0], ids[1], "each can be sent again");
    let (exit, _, stderr) = fake.run(&["job", "submit", &file, "--cpus", "2"]).await;
    assert_eq!(exit, 2);
    assert!(stderr.contains("--set job.NAME.KEY=VALUE"), "{stderr}");
    let (exit, _, stderr) = fake.run(&["run", "--file", &file]).await;
    assert_eq!(exit, 2);
    assert!(stderr.contains("several jobs"), "{stderr}");
}

#[tokio::test]
async fn a_job_waits_for_those_that_options_name() {
    let fake = Fake::start();
    fake.change(|known| known.jobs = [(5, job(5, "running", &json!({ "running": 1 })))].into());
    let options = ["--after-ok", "3,4:each", "--after-any", "last"];
    let arguments = [&["job", "submit"][..], &options, &["--", "true"]].concat();
    let (exit, _, stderr) = fake.run(&arguments).await;
    assert_eq!((exit, stderr.as_str()), (0, ""));
    let spec = &fake.asked("/v1/jobs")[0];
    assert_eq!((&spec["after_ok"], &spec["after_any"]), (&json!([3, "4:each"]), &json!([5])));
}

#[tokio::test]
async fn an_array_has_a_task_for_each_of_what_is_listed_a_line_an_element_or_a_combination() {
    let fake = Fake::start();
    let lines = fake.file("lines.txt", "one\n\ntwo words\n$(three)");
    let elements = fake.file("elements.json", r#"["a", 2, {"b": [null]}]"#);
    for (options, key, expected) in [
        (&["--each", "a,b c"][..], "items", json!(["a", "b c"])),
        (&["--each-line", &lines], "items", json!(["one", "two words", "$(three)"])),
        (&["--each-json", &elements], "items", json!(["a", "2", r#"{"b":[null]}"#])),
        (
            &["--matrix", "OS=a,b", "--matrix", "SEED=1"],
            "matrix",
            json!({ "OS": ["a", "b"], "SEED": ["1"] }),
        ),
    ] {
        let words = [&["job", "submit"], options, &["--", "true"]].concat();
        let (exit, _, stderr) = fake.run(&words).await;
        assert_eq!((exit, stderr.as_str()), (0, ""), "{options:?}");
        let asked = fake.asked("/v1/jobs");
        assert_eq!(asked.last().unwrap()[key], expected, "{options:?}");
    }
}

#[tokio::test]
async fn items_that_cannot_be_are_a_mistake_and_nothing_is_submitted() {
    let fake = Fake::start();
    let empty = fake.file("empty.txt", "\n\n");
    let object = fake.file("object.json", "{}");
    let broken = fake.file("broken.json", "[1, ");
    let long = fake.file("long.txt", &"x\n".repeat(1 << 20));
    for (options, says) in [
        (&["--each-line", "/no/such/file"][..], "failed to read the items from /no/such/file"),
        (&["--each-line", &empty], "there are no items in"),
        (&["--each-json", &object], "are no array"),
        (&["--each-json", &broken], "are no JSON: EOF while parsing"),
        (&["--each-line", &long], "are too many"),
        (&["--each", "a", "--each-line", &empty], "cannot be used with"),
        (&["--each", "a", "--matrix", "X=1"], "there are `items`, too: give one of them"),
        (&["--each", "a", "--array", "1"], "there is no index 1"),
        (&["--matrix", "X=1", "--matrix", "X=2"], "`--matrix X` is there twice"),
        (&["--matrix", "X=1", "--env", "X=2"], "the environment of all tasks has it, too"),
    ] {
        let words = [&["job", "submit"], options, &["--", "true"]].concat();
        let (exit, stdout, stderr) = fake.run(&words).await;
        assert_eq!((exit, stdout.as_str()), (2, ""), "{options:?}: {stderr}");
        assert!(stderr.contains(says), "{options:?}: {stderr}");
    }
    assert!(fake.asked("/v1/jobs").is_empty());
}

#[tokio::test]
async fn options_win_over_sets_and_sets_over_the_file() {
    let fake = Fake::start();
    let file = fake.file("job.toml", FILE);
    let options = [
        "--set",
        "priority=3",
        "--set",
        "retry.max_attempts=5",
        "--set",
        "labels.team=red",
        "--priority",
        "9",
        "-e",
        "MODE=slow",
        "-e",
        "MORE=1",
        "--node",
        "n2",
        "--hold",
    ];
    let (exit, _, stderr) = fake.run(&[&["job", "submit", &file], &options[..]].concat()).await;
    assert_eq!(exit, 0, "{stderr}");
    let spec = &fake.asked("/v1/jobs")[0];
    assert_eq!(spec["name"], "hash");
    assert_eq!(spec["priority"], 9);
    assert_eq!(spec["retry"]["max_attempts"], 5);
    assert_eq!(spec["retry"]["on"], json!(["exit"]));
    assert_eq!(spec["labels"], json!({ "team": "red" }));
    assert_eq!(spec["environment"], json!({ "MODE": "slow", "MORE": "1" }));
    assert_eq!(spec["output"]["capture"], json!({ "file": "/tmp/{job}" }));
    let node = json!({ "label": "node", "operator": "eq", "value": "n2" });
    assert_eq!(spec["constraints"], json!([node]));
    assert_eq!((&spec["hold"], spec["commands"].as_array().unwrap().len()), (&json!(true), 2));
}

#[tokio::test]
async fn toml_and_json_and_standard_input_say_the_same() {
    let fake = Fake::start();
    let toml = fake.file("job.toml", FILE);
    assert_eq!(fake.run(&["job", "submit", &toml, "--request-id", "a"]).await.0, 0);
    let mut said = fake.asked("/v1/jobs").remove(0);
    let json = fake.file("job.json", &said.to_string());
    assert_eq!(fake.run(&["job", "submit", &json]).await.0, 0);
    let mut command = fake.command(&["job", "submit", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    said["request_id"] = json!("a");
    stdin.write_all(said.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    assert_eq!(finish(child).await.0, 0);
    let asked = fake.asked("/v1/jobs");
    assert!(asked.len() == 3 && asked.iter().all(|spec| *spec == said), "{asked:?}");
}

#[tokio::test]
async fn each_submission_has_its_own_id_and_a_repeated_one_keeps_it() {
    let fake = Fake::start();
    for _ in 0..2 {
        assert_eq!(fake.run(&["job", "submit", "--", "true"]).await.0, 0);
    }
    fake.change(|known| known.away = 1);
    assert_eq!(fake.run(&["job", "submit", "--request-id", "mine", "--", "true"]).await.0, 0);
    let ids: Vec<Value> =
        fake.asked("/v1/jobs").iter().map(|spec| spec["request_id"].clone()).collect();
    assert!(ids[0] != ids[1] && ids[2] == "mine" && ids.len() == 3, "{ids:?}");
}

#[tokio::test]
async fn a_dry_run_shows_the_whole_job_and_submits_nothing() {
    let fake = Fake::start();
    let (exit, stdout, stderr) =
        fake.run(&["job", "submit", "--dry-run", "--array", "0-9", "--", "true"]).await;
    assert_eq!(exit, 0, "{stderr}");
    let spec: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&spec["array"], &spec["kill"]["grace"]), (&json!("0-9"), &json!("10s")));
    assert!(stderr.contains("it would be job 7, with 10 tasks"), "{stderr}");
    assert!(fake.asked("/v1/jobs").is_empty());
    assert_eq!(fake.asked("/v1/jobs?dry_run=true").len(), 1);
}

#[tokio::test]
async fn who_submits_a_program_of_this_folder_hears_that_tasks_have_their_own() {
    let fake = Fake::start();
    fake.file("train.sh", "");
    let told = |stderr: &str| stderr.contains("without `./train.sh`: try `--cwd .`");
    for (arguments, is_told) in [
        (&["./train.sh"][..], true),
        (&["./other.sh"], false),
        (&["train.sh"], false),
        (&["/no/train.sh"], false),
    ] {
        let submit = [&["job", "submit", "--"], arguments].concat();
        let (exit, _, stderr) = fake.run(&submit).await;
        assert_eq!((exit, told(&stderr)), (0, is_told), "{arguments:?}: {stderr}");
    }
    let (_, _, stderr) = fake.run(&["job", "submit", "--cwd", ".", "--", "./train.sh"]).await;
    assert!(!told(&stderr), "{stderr}");
}

#[tokio::test]
async fn submitting_and_waiting_ends_as_the_job_does() {
    let fake = Fake::start();
    fake.change(|known| {
        let mut ended = job(7, "failed", &json!({ "failed": 1 }));
        ended["exit"] = 5.into();
        known.jobs.insert(7, ended);
    });
    let (exit, stdout, _) = fake.run(&["job", "submit", "--progress", "--", "false"]).await;
    assert_eq!((exit, stdout.as_str()), (5, "7\n"));
}

#[tokio::test]
async fn a_file_that_is_wrong_is_pointed_at() {
    let fake = Fake::start();
    let file = fake.file("job.toml", "[[commands]]\nexec = [\"true\"]\n\n[retyr]\n");
    let (exit, stdout, stderr) = fake.run(&["job", "submit", &file]).await;
    assert_eq!((exit, stdout.as_str()), (2, ""), "{stderr}");
    assert!(
        stderr.contains("job.toml:4:2") && stderr.contains("did you mean `retry`?"),
        "{stderr}"
    );
    let (exit, _, stderr) = fake.run(&["job", "submit", &file.replace("job", "jbo")]).await;
    assert_eq!((exit, stderr.contains("did you mean")), (2, true), "{stderr}");
    assert!(fake.asked("/v1/jobs").is_empty());
}
