use serde_json::json;

use super::world::World;

#[test]
fn a_log_that_is_followed_ends_with_its_last_byte_across_attempts() {
    let world = World::start("");
    let script = "echo attempt; sleep 0.2; printf 'last %s' \"$DX_ATTEMPT\"; exit 3";
    let job = world.submit(&json!({
        "commands": [{ "exec": ["sh", "-c", script] }],
        "retry": { "max_attempts": 3, "backoff": "100ms" },
    }));
    let followed = world.get(&format!("/v1/jobs/{job}/tasks/0/log?follow=true"));
    assert_eq!(followed.status, 200);
    assert_eq!(followed.body.matches("attempt\nlast").count(), 3, "{followed:?}");
    let view = world.get(&format!("/v1/jobs/{job}")).json();
    assert_eq!((&view["state"], &view["exit"]), (&json!("failed"), &json!(3)), "{view}");
    let accept = ["-H", "accept: text/event-stream"];
    let path = format!("/v1/jobs/{job}/tasks/0/log?attempt=2&follow=true");
    let events = world.curl("n1", &path, &accept).body;
    let names: Vec<&str> = events.lines().filter_map(|it| it.strip_prefix("event: ")).collect();
    assert_eq!((names.first(), names.last()), (Some(&"piece"), Some(&"end")), "{events}");
    let last = world.get(&format!("/v1/jobs/{job}/tasks/0/log?tail=1"));
    assert!(last.body.starts_with("last "), "{last:?}");
    let none = world.get(&format!("/v1/jobs/{job}/tasks/0/log?attempt=4"));
    assert_eq!(none.code(), "no_such_attempt");
}

#[test]
fn a_task_that_prints_much_is_read_whole() {
    let world = World::start("");
    let job = world.script("seq 1 300000; seq 1 10 >&2");
    world.ended(job);
    let whole = world.get(&format!("/v1/jobs/{job}/tasks/0/log?stream=stdout"));
    let lines: Vec<&str> = whole.body.lines().collect();
    assert!(lines.len() >= 300_000, "{}", lines.len());
    let tail = world.get(&format!("/v1/jobs/{job}/tasks/0/log?tail=3")).body;
    assert_eq!(tail.lines().count(), 3, "{tail}");
}
