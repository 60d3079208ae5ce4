//! The shell system's walkthrough, command by command.

use serde_json::{Value, json};

use super::world::{Got, World};

/// Sends data as the walkthrough does: curl is not told what it is.
fn post(world: &World, path: &str, data: &str) -> Got {
    world.curl("n1", path, &["-X", "POST", "-d", data])
}

/// A status as the document shows it, and nothing more.
fn is_status(status: &Value, state: &str, verdict: &str) {
    let fields: Vec<&str> = status.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["created-at", "node", "state", "status"], "{status}");
    assert_eq!((&status["state"], &status["status"]), (&json!(state), &json!(verdict)), "{status}");
    let at = status["created-at"].as_str().unwrap();
    humantime::parse_rfc3339(at).unwrap();
}

#[test]
fn the_walkthrough_of_the_shell_system_works_as_it_is_written() {
    let world = World::start("");
    // 1 and 2: a job is posted, and comes back with its id.
    let sent = r#"{"action": "add_job", "command": [ "sh", "-c", "echo done; exit 0" ] }"#;
    let new = post(&world, "/scheduler/jobs/new", sent);
    assert_eq!(new.status, 201, "{new:?}");
    let expected = json!({"action": "add_job", "command": ["sh", "-c", "echo done; exit 0"],
        "request_id": "1", "schedulerjob-idx": "1"});
    assert_eq!(new.json(), expected);
    world.ended(1);
    // 3: where it can be placed, and a job that a node is given.
    let nodes = world.get_from("n1", "/scheduler/nodes/list").json();
    let entry = |name: &str, port: u16| {
        json!({"name": name, "ipv4": ["127.0.0.1"], "hostname": "127.0.0.1",
            "uri": format!("tls://127.0.0.1:{port}")})
    };
    let ports = &world.user.ports;
    assert_eq!(nodes, json!({"nodes": [entry("n1", ports[0]), entry("n2", ports[1])]}));
    let run = "/nodemgr/jobs/run?job-number=2&json_data=%7B%22commands%22:%5B%7B%22exec%22:%5B%22sleep%22,%22600%22%5D%7D%5D%7D";
    let run = world.curl("n2", run, &["-X", "POST"]).json();
    let expected = json!({"nodejobs": [{"nodejob-idx": "2", "schedulerjob-idx": "2",
        "hostname": "127.0.0.1", "ipv4": ["127.0.0.1"]}]});
    assert_eq!(run, expected);
    world.wait(2, |view| view["counts"]["running"] == 1);
    assert_eq!(world.get_from("n2", "/nodemgr/jobs").json(), expected);
    assert_eq!(world.get_from("n1", "/nodemgr/jobs").json(), json!({"nodejobs": []}));
    // 5 and 6: all jobs, and how they stand.
    assert_eq!(world.get_from("n1", "/scheduler/jobs").body, "2\n1\n");
    is_status(&world.get_from("n1", "/scheduler/jobs/1/status").json(), "stopped", "good");
    let running = world.get_from("n1", "/scheduler/jobs/2/status").json();
    is_status(&running, "running", "unknown");
    assert_eq!(running["node"], "n2");
    is_status(&post(&world, "/scheduler/jobs/2/update", "").json(), "running", "unknown");
    assert_eq!(post(&world, "/scheduler/jobs/2/update?kill=1", "").status, 200);
    world.ended(2);
    is_status(&world.get_from("n1", "/scheduler/jobs/2/status").json(), "stopped", "error");
}

#[test]
fn a_processor_runs_a_request_and_tells_its_status_and_log() {
    let world = World::start("");
    let file = world.user.file(
        "some-file.json",
        r#"{ "commands": [ { "exec": [ "sh", "-c", "echo \"$GREETING\"; exit 3" ] } ],
             "environment": { "GREETING": "it's $(id)" }, "request_id": "123456789" }"#,
    );
    let data = format!("@{}", file.display());
    let new = post(&world, "/processor/jobs/new", &data);
    assert_eq!((new.status, &new.json()["request_id"]), (201, &json!("123456789")), "{new:?}");
    let again = post(&world, "/processor/job/new", &data);
    assert_eq!((again.status, &again.json()["schedulerjob-idx"]), (200, &json!("1")), "{again:?}");
    world.ended(1);
    let status = world.get_from("n2", "/processor/jobs/123456789/status").json();
    is_status(&status, "stopped", "error");
    assert_eq!(status["node"], "n1", "it runs on the node that was asked");
    assert_eq!(world.get_from("n2", "/processor/jobs/123456789/log").body, "it's $(id)\n");
    let all = world.get_from("n1", "/processor/jobs/status").json();
    assert_eq!(all["jobs"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["jobs"][0]["request_id"], "123456789");
}
