use serde_json::json;

use super::world::World;

#[test]
fn a_job_runs_and_every_path_tells_of_it() {
    let world = World::start("");
    let nodes = world.get("/v1/nodes").json();
    let states: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|n| &n["state"]).collect();
    assert_eq!(states, ["ready", "ready"], "{nodes}");

    let spec = json!({
        "name": "hello", "array": "0-3", "labels": { "team": "blue" },
        "commands": [{ "exec": ["printf", "%s of %s", "$(id)", "it's"] }],
        "request_id": "once",
    });
    let dry = world.curl(
        "n1",
        "/v1/jobs?dry_run=true",
        &["-H", "content-type: application/json", "--data", &spec.to_string()],
    );
    assert_eq!((dry.status, &dry.json()["job"]), (200, &json!(1)), "{dry:?}");
    let job = world.submit(&spec);
    let again = world.post("/v1/jobs", &spec);
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), json!({ "job": job, "is_repeat": true, "warnings": [] }));
    let mut other = spec.clone();
    other["array"] = json!("0-4");
    assert_eq!(world.post("/v1/jobs", &other).code(), "request_id_taken");

    let view = world.ended(job);
    assert_eq!((&view["state"], &view["exit"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(view["counts"]["succeeded"], 4);
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    assert_eq!(view["by"], user.as_str());

    for node in ["n1", "n2"] {
        let ask = |path: &str| world.get_from(node, &format!("/v1/jobs/{job}{path}"));
        assert_eq!(ask("/spec").json()["array"], "0-3");
        assert_eq!(ask("/valid").json(), json!({ "is_valid": false, "removed": "completed" }));
        let page = ask("/tasks?limit=2&from=1&state=succeeded").json();
        assert_eq!((page["tasks"].as_array().unwrap().len(), &page["next"]), (2, &json!(3)));
        assert_eq!(ask("/tasks/3").json()["attempts"][0]["end"], "succeeded");
        assert!(ask("/tasks/3/explain").json()["steps"].as_array().unwrap().len() > 2);
        assert_eq!(ask("/tasks/3/log").body, "$(id) of it's");
        assert!(ask("/events").body.contains("\"succeeded\""));
    }
    for (query, found) in [
        ("state=succeeded&label=team=blue&name=hello", 1),
        ("state=failed", 0),
        ("label=team=red", 0),
        (&format!("since={}", view["version"]), 0),
    ] {
        let page = world.get(&format!("/v1/jobs?{query}")).json();
        assert_eq!(page["jobs"].as_array().unwrap().len(), found, "{query}: {page}");
    }
    let what = json!({ "what": ["@team=blue"] });
    assert_eq!(world.post("/v1/remove", &what).json(), json!({ "changed": 1 }));
    assert_eq!(world.get(&format!("/v1/jobs/{job}")).code(), "no_such_job");
    assert_eq!(world.get(&format!("/v1/jobs/{job}/tasks/0/log")).code(), "no_such_job");
}

#[test]
fn what_waits_is_steered_and_a_drained_node_gets_no_work() {
    let world = World::start("");
    let drained = world.post("/v1/nodes/n1/drain", &json!({ "reason": "disks" }));
    assert_eq!((drained.status, &drained.json()["state"]), (200, &json!("drained")), "{drained:?}");
    let job = world.submit(&json!({
        "commands": [{ "exec": ["sleep", "600"] }],
        "constraints": [{ "label": "node", "value": "n1" }],
    }));
    let explained = world.get(&format!("/v1/jobs/{job}/tasks/0/explain")).json();
    assert!(!explained["causes"].as_array().unwrap().is_empty(), "{explained}");
    let what = json!({ "what": [job.to_string()] });
    assert_eq!(world.post("/v1/hold", &what).json(), json!({ "changed": 1 }));
    assert_eq!(world.wait(job, |view| view["state"] == "held")["id"], job);
    let priority = json!({ "what": [job.to_string()], "priority": 7 });
    assert_eq!(world.post("/v1/priority", &priority).status, 200);
    assert_eq!(world.wait(job, |view| view["priority"] == 7)["id"], job);
    assert_eq!(world.post("/v1/release", &what).json(), json!({ "changed": 1 }));
    assert_eq!(world.post("/v1/nodes/n1/undrain", &json!({})).json()["state"], "ready");
    world.wait(job, |view| view["counts"]["running"] == 1);
    assert_eq!(world.post("/v1/remove", &what).code(), "job_not_ended");
    assert_eq!(world.post("/v1/cancel", &what).json(), json!({ "changed": 1 }));
    assert_eq!(world.ended(job)["state"], "cancelled");
    assert_eq!(world.post("/v1/retry", &what).json(), json!({ "changed": 1 }));
    world.wait(job, |view| view["counts"]["running"] == 1);
    let force = json!({ "what": [job.to_string()], "force": true });
    assert_eq!(world.post("/v1/remove", &force).status, 200);
}

#[test]
fn a_cluster_without_a_controller_says_so() {
    let user = super::terminal::User::new();
    let file = user.ping("20");
    let mut up = user.start(&["up", file.to_str().unwrap()]);
    up.wait_for("ready");
    let socket = user.home().join("ping/n1/control.sock");
    let socket = ["--unix-socket", socket.to_str().unwrap()];
    for path in ["/v1/jobs", "/v1/jobs/7/tasks", "/v1/nodes/n1/drain", "/v1/cancel"] {
        let got = super::world::curl(&[&socket[..], &[&format!("http://dx{path}")]].concat());
        assert_eq!((got.status, got.code().as_str()), (404, "no_controller"), "{path}");
    }
    up.interrupt();
}
