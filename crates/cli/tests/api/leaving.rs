use serde_json::json;

use super::world::World;

#[test]
fn a_node_that_is_stopped_ends_what_it_runs_and_is_used_again_when_it_is_back() {
    let mut world = World::start("");
    let marks = world.user.file("marks", "");
    let script = format!("echo $$ >> {}; exec sleep 600", marks.display());
    let job = world.submit(&json!({ "commands": [{ "exec": ["sh", "-c", script] }] }));
    world.wait(job, |view| view["counts"]["running"] == 1);
    let task = world.get(&format!("/v1/jobs/{job}/tasks/0")).json();
    world.down();
    for pid in std::fs::read_to_string(&marks).unwrap().lines() {
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "{pid} is left: {task}");
    }
    world.up();
    // Both nodes take work again, and the task runs again. Where both stop at once, the second may
    // have been given what the first ended, and have ended it, too.
    world.wait(job, |view| view["counts"]["running"] == 1);
    let task = world.get(&format!("/v1/jobs/{job}/tasks/0")).json();
    let ends: Vec<_> = task["attempts"].as_array().unwrap().iter().map(|it| &it["end"]).collect();
    let (last, before) = ends.split_last().unwrap();
    assert!(last.is_null(), "{task}");
    assert!((1..=2).contains(&before.len()), "{task}");
    assert!(before.iter().all(|end| **end == "lost"), "{task}");
    let nodes = world.get("/v1/nodes").json();
    for node in nodes["nodes"].as_array().unwrap() {
        assert_eq!(node["state"], "ready", "{nodes}");
    }
    assert_eq!(world.post("/v1/cancel", &json!({ "what": ["last"], "now": true })).status, 200);
    world.ended(job);
}
