use axum::http::StatusCode;
use dx_agents::NodeId;
use dx_scheduler::client::{Answer, Part, Request, RequestError, Selection};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::{JobId, TaskId};
use serde_json::{Value, json};

use super::world::World;

fn selection(states: &[TaskState]) -> Selection {
    let parts = vec![
        Part::Jobs(JobId(1), JobId(5)),
        Part::Tasks(JobId(7), 3, 3),
        Part::Last,
        Part::Label("team".to_owned(), Some("blue".to_owned())),
    ];
    Selection { parts, states: states.to_vec() }
}

#[tokio::test]
async fn each_change_is_asked_of_the_controller() {
    let world = World::new(|_| Some(Answer::Done { changed: 3 }));
    let what = json!(["1-5", "7.3", "last", "@team=blue"]);
    let failed = selection(&[TaskState::Failed]);
    let all = selection(&[]);
    let cancel = Request::Cancel { what: failed.clone(), now: true, reason: Some("x".to_owned()) };
    let cases = [
        ("cancel", json!({ "states": ["failed"], "now": true, "reason": "x" }), cancel),
        ("retry", json!({ "all": true }), Request::Retry { what: all.clone(), all: true }),
        ("hold", json!({ "states": ["failed"] }), Request::Hold(failed)),
        ("release", json!({}), Request::Release(all.clone())),
        ("priority", json!({ "priority": -3 }), Request::Priority(all.clone(), -3)),
        ("remove", json!({ "force": true }), Request::Remove { what: all, force: true }),
    ];
    for (path, mut body, wanted) in cases {
        body["what"] = what.clone();
        let answer = world.post(&format!("/v1/{path}"), &body.to_string()).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "changed": 3 })));
        assert_eq!(world.asked.lock().unwrap().pop(), Some(wanted), "{path}");
    }
}

#[tokio::test]
async fn a_selection_that_names_nothing_changes_nothing() {
    let world = World::new(|request| panic!("{request:?}"));
    for what in [json!([]), json!(["7", "x", "5-1"]), json!([""]), json!(vec!["1"; 1001])] {
        let answer = world.post("/v1/cancel", &json!({ "what": what }).to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        assert_eq!(answer.code(), "invalid_selection");
    }
    let answer = world.post("/v1/cancel", r#"{"what":["7","x","5-1"]}"#).await;
    let keys: Vec<Value> =
        answer.json()["problems"].as_array().unwrap().iter().map(|it| it["key"].clone()).collect();
    assert_eq!(keys, ["what.1", "what.2"]);
    for body in ["{}", r#"{"what":"7"}"#, r#"{"what":["7"],"nwo":true}"#] {
        assert_eq!(world.post("/v1/cancel", body).await.code(), "invalid_body", "{body}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let other = RequestError::OtherJob { id: "a".to_owned(), job: JobId(3) };
    let task = TaskId { job: JobId(7), index: 3 };
    let cases = [
        (RequestError::NoJob(JobId(7)), 404, "no_such_job"),
        (RequestError::NoTask(task), 404, "no_such_task"),
        (RequestError::NoNode(NodeId(3)), 404, "no_such_node"),
        (other, 409, "request_id_taken"),
        (RequestError::NotEnded(JobId(7)), 409, "job_not_ended"),
        (RequestError::Full { tasks: 10, most: 10 }, 429, "queue_full"),
        (RequestError::DiskFull, 507, "disk_full"),
        (RequestError::Unknown("x".to_owned()), 501, "not_understood"),
    ];
    for (why, status, code) in cases {
        let said = why.to_string();
        let world = World::new(move |_| Some(Answer::Refused(why.clone())));
        let answer = world.post("/v1/remove", r#"{"what":["7"]}"#).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
        assert_eq!(answer.json()["detail"], said);
    }
    let world = World::new(|_| Some(Answer::Done { changed: 3 }));
    assert_eq!(world.get("/v1/jobs").await.code(), "unreadable");
}

#[tokio::test]
async fn a_node_is_named_by_its_name_or_number() {
    let node = |state: &str| {
        serde_json::from_value(json!({
            "id": 2, "name": "n2", "state": state, "reason": null, "labels": {},
            "capacity": {}, "used": {}, "attempts": 0, "shim": null, "kill": null,
            "memory_enforced": null, "heard": null, "usage": null, "quarantined_until": null,
            "faults": 0,
        }))
        .unwrap()
    };
    let mut state = "ready";
    let world = World::new(move |request| {
        Some(match request {
            Request::Nodes => Answer::Nodes(vec![node(state)]),
            Request::Drain { node: NodeId(2), reason } => {
                state = "drained";
                assert_eq!(reason.as_deref(), Some("disks"));
                Answer::Done { changed: 1 }
            }
            Request::Undrain(NodeId(2)) => {
                state = "ready";
                Answer::Done { changed: 1 }
            }
            request => panic!("{request:?}"),
        })
    });
    assert_eq!(world.get("/v1/nodes").await.json()["nodes"][0]["name"], "n2");
    assert_eq!(world.get("/v1/nodes/2").await.json()["name"], "n2");
    let answer = world.post("/v1/nodes/n2/drain", r#"{"reason":"disks"}"#).await;
    assert_eq!(answer.json()["state"], "drained", "{answer:?}");
    let answer = world.post("/v1/nodes/n2/undrain", "").await;
    assert_eq!(answer.json()["state"], "ready", "{answer:?}");
    let answer = world.get("/v1/nodes/n3").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "no_such_node"));
    assert_eq!(answer.json()["hint"], "those that do: n2");
    assert_eq!(world.post("/v1/nodes/n2/drain", r#"{"raeson":"x"}"#).await.code(), "invalid_body");
}
