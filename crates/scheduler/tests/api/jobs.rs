use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use dx_scheduler::client::{Answer, JobQuery, JobState, Request, RequestError, TaskQuery};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::JobSpec;
use serde_json::json;

use super::world::{World, job, task};

fn submitted(job: u64, is_repeat: bool) -> Answer {
    Answer::Submitted { job: JobId(job), is_repeat, warnings: vec!["odd".to_owned()] }
}

#[tokio::test]
async fn a_new_job_is_created_and_a_repeat_is_the_same() {
    let mut first = true;
    let world = World::new(move |_| Some(submitted(7, !std::mem::take(&mut first))));
    let body = r#"{"commands":[{"exec":["echo","$(id) 'x'\n"]}],"environment":{"A":"$B"}}"#;
    let answer = world.post("/v1/jobs", body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.json(), json!({ "job": 7, "is_repeat": false, "warnings": ["odd"] }));
    assert_eq!(world.post("/v1/jobs", body).await.status, StatusCode::OK);
    let asked = world.asked.lock().unwrap();
    let Request::Submit { spec, by, dry_run } = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(spec.commands[0].exec, ["echo", "$(id) 'x'\n"]);
    assert_eq!(spec.environment["A"], "$B");
    assert_eq!((by.as_str(), *dry_run), ("ann", false));
}

#[tokio::test]
async fn a_dry_run_creates_nothing() {
    let world = World::new(|_| Some(submitted(7, false)));
    let answer = world.post("/v1/jobs?dry_run=true", r#"{"commands":[{"exec":["true"]}]}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
    let asked = world.asked.lock().unwrap();
    assert!(matches!(asked[0], Request::Submit { dry_run: true, .. }));
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_said_with_its_place() {
    let world = World::new(|_| {
        let problems = JobSpec::default().problems();
        Some(Answer::Refused(RequestError::Invalid(problems)))
    });
    let answer = world.post("/v1/jobs", "{}").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.code(), "invalid_job");
    assert_eq!(answer.json()["problems"][0]["key"], "commands");
    let answer = world.post("/v1/jobs", r#"{"commands":[{"exec":"true"}]}"#).await;
    assert_eq!(answer.code(), "invalid_body");
    assert_eq!(answer.json()["problems"][0]["key"], "commands[0].exec");
    let answer = world.post("/v1/jobs", r#"{"comands":[]}"#).await;
    assert_eq!(answer.code(), "invalid_body");
    assert!(answer.text().contains("comands"), "{}", answer.text());
    for broken in ["", "{", "[]", "null", r#"{"commands":[]} x"#] {
        let answer = world.post("/v1/jobs", broken).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}");
        assert_eq!(answer.code(), "invalid_body", "{broken}");
    }
}

#[tokio::test]
async fn a_page_of_jobs_is_what_was_asked_for() {
    let world = World::new(|_| {
        let jobs = vec![job(9, 5, JobState::Running)];
        Some(Answer::Jobs { jobs, next: Some(JobId(9)), version: 5 })
    });
    let path =
        "/v1/jobs?before=10&limit=1&state=running&state=held&label=a=b&label=c&name=x&since=3";
    let answer = world.get(path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["next"], 9);
    assert_eq!(answer.json()["jobs"][0]["state"], "running");
    let wanted = JobQuery {
        before: Some(JobId(10)),
        limit: Some(1),
        states: vec![JobState::Running, JobState::Held],
        labels: vec!["a=b".to_owned(), "c".to_owned()],
        name: Some("x".to_owned()),
        since: Some(3),
        ..JobQuery::default()
    };
    assert_eq!(*world.asked.lock().unwrap(), [Request::Jobs(wanted)]);
}

#[tokio::test]
async fn an_unknown_key_or_state_is_an_error() {
    let world = World::new(|_| None);
    for (query, said) in [
        ("stat=running", "stat"),
        ("state=runing", "runing"),
        ("limit=-1", "invalid digit"),
        ("before=x", "invalid digit"),
    ] {
        let answer = world.get(&format!("/v1/jobs?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.code(), "invalid_query");
        assert!(answer.text().contains(said), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_long_poll_answers_when_the_job_changes() {
    let version = AtomicU64::new(4);
    let world = World::new(move |request| match request {
        Request::Watch { job: Some(JobId(7)), since: 5 } => {
            // Nothing twice, then something.
            let version = version.fetch_add(1, Ordering::Relaxed);
            let job = Some(Box::new(job(7, version, JobState::Running)));
            Some(Answer::Changed { version: 99, job })
        }
        request => panic!("{request:?}"),
    });
    let answer = world.get("/v1/jobs/7?since=5&wait=1min").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["version"], 6);
    assert_eq!(world.asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_long_poll_without_a_change_answers_with_the_job_as_it_is() {
    let world = World::new(|request| match request {
        Request::Watch { .. } => None,
        Request::Job(_) => Some(Answer::Job(Box::new(job(7, 5, JobState::Running)))),
        request => panic!("{request:?}"),
    });
    let answer = world.get("/v1/jobs/7?since=5&wait=1ms").await;
    assert_eq!((answer.status, &answer.json()["version"]), (StatusCode::OK, &json!(5)));
    let answer = world.get("/v1/jobs/7?wait=1ms").await;
    assert_eq!(answer.code(), "invalid_query");
    let answer = world.get("/v1/jobs/7?since=1&wait=30").await;
    assert!(answer.text().contains("a unit is missing"), "{}", answer.text());
}

#[tokio::test]
async fn a_long_poll_ends_with_its_node() {
    let world = World::new(|_| None);
    let router = world.router_for(dx_scheduler::api::Scope::Read);
    let request = super::world::request("GET", "/v1/jobs/7?since=5", &[], "");
    let polling = tokio::spawn(super::world::whole(router, request));
    while world.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.stop.send_replace(true);
    let answer = polling.await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "stopping");
}

#[tokio::test]
async fn tasks_are_listed_shown_and_explained() {
    let world = World::new(|request| {
        Some(match request {
            Request::Tasks(query) => {
                let states = vec![TaskState::Failed, TaskState::Lost];
                let wanted = TaskQuery { job: JobId(7), from: 3, limit: Some(2), states };
                assert_eq!(query, wanted);
                Answer::Tasks { tasks: vec![task(TaskState::Failed, 1)], next: Some(5) }
            }
            Request::Task(_) => Answer::Task(Box::new(task(TaskState::Running, 2))),
            Request::Explain(_) => serde_json::from_value(json!({ "explained": {
                "task": task(TaskState::Queued, 0), "steps": [],
                "causes": [{ "code": "held", "what": "it is held", "hint": null }],
            }}))
            .unwrap(),
            Request::Spec(_) => Answer::Spec(Box::default()),
            Request::Valid(_) => serde_json::from_value(
                json!({ "valid": { "is_valid": false, "removed": "completed" }}),
            )
            .unwrap(),
            request => panic!("{request:?}"),
        })
    });
    let answer = world.get("/v1/jobs/7/tasks?from=3&limit=2&state=failed&state=lost").await;
    assert_eq!(answer.json()["next"], 5, "{answer:?}");
    let answer = world.get("/v1/jobs/7/tasks/0").await;
    assert_eq!(answer.json()["attempts"][1]["number"], 2);
    let answer = world.get("/v1/jobs/7/tasks/0/explain").await;
    assert_eq!(answer.json()["causes"][0]["code"], "held");
    assert_eq!(world.get("/v1/jobs/7/spec").await.json()["priority"], 0);
    assert_eq!(world.get("/v1/jobs/7/valid").await.json()["removed"], "completed");
}

#[tokio::test]
async fn a_silent_controller_is_named() {
    // It has no port, so it is known at once that nobody is there.
    let world = World::new(|_| None);
    world.stop.send_replace(false);
    let runtime = dx_agents::runtime::Runtime::start(dx_agents::runtime::RuntimeConfig::default());
    let runtime = runtime.unwrap();
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let nodes = std::iter::once((dx_agents::NodeId(1), super::world::place("n1"))).collect();
    let api = dx_scheduler::api::Api::new(runtime.port(), dx_agents::NodeId(1), nodes, stopping);
    let caller =
        dx_scheduler::api::Caller { name: "ann".to_owned(), scope: dx_scheduler::api::Scope::Read };
    let router = api.router().layer(axum::Extension(caller));
    let answer =
        super::world::whole(router, super::world::request("GET", "/v1/jobs", &[], "")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "controller_silent");
    assert!(answer.text().contains("the controller on node n1 is silent"), "{}", answer.text());
}
