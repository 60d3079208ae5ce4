//! The shell system's walkthrough, against a controller that is played.

use axum::http::StatusCode;
use dx_scheduler::api::Scope;
use dx_scheduler::client::{
    Answer, JobQuery, JobState, JobView, Motion, NodeState, NodeView, Pair, Request, RequestError,
    Selection, Verdict,
};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::{Command, Constraint, JobSpec, Operator, Resources};
use serde_json::json;

use super::world::{World, job, task};

/// A scheduler that has job 2, of the pair given, and takes the next as job 3.
fn scheduler(state: Motion, status: Verdict) -> World {
    World::new(move |request| {
        Some(match request {
            Request::Submit { spec, .. } => Answer::Submitted {
                job: JobId(3),
                is_repeat: spec.request_id.as_deref() == Some("again"),
                warnings: Vec::new(),
            },
            Request::Jobs(JobQuery { request_id: Some(id), .. }) => {
                let jobs = if id == "123456789" { vec![second(state, status)] } else { Vec::new() };
                Answer::Jobs { jobs, next: None, version: 9 }
            }
            Request::Jobs(JobQuery { before: None, .. }) => {
                Answer::Jobs { jobs: vec![second(state, status)], next: Some(JobId(2)), version: 9 }
            }
            Request::Jobs(_) => {
                let jobs = vec![job(1, 1, JobState::Succeeded)];
                Answer::Jobs { jobs, next: None, version: 9 }
            }
            Request::Job(JobId(2)) => Answer::Job(Box::new(second(state, status))),
            Request::Job(other) => Answer::Refused(RequestError::NoJob(other)),
            Request::Tasks(_) => {
                Answer::Tasks { tasks: vec![task(TaskState::Failed, 2)], next: None }
            }
            Request::Nodes => {
                Answer::Nodes(vec![node(1, NodeState::Ready), node(2, NodeState::Drained)])
            }
            Request::Cancel { .. } => Answer::Done { changed: 1 },
            other => panic!("nobody should ask {other:?}"),
        })
    })
}

fn second(state: Motion, status: Verdict) -> JobView {
    let request_id = Some("123456789".to_owned());
    let pair = Pair { state, status };
    JobView { pair, request_id, submitted: 1_635_724_800_000, ..job(2, 5, JobState::Running) }
}

fn node(id: u32, state: NodeState) -> NodeView {
    NodeView {
        id: dx_agents::NodeId(id),
        name: format!("n{id}"),
        state,
        reason: None,
        labels: [].into(),
        capacity: Resources::default(),
        used: Resources::default(),
        attempts: 0,
        shim: None,
        kill: None,
        memory_enforced: None,
        heard: None,
        usage: None,
        quarantined_until: None,
        faults: 0,
    }
}

fn submitted(world: &World) -> JobSpec {
    let asked = world.asked.lock().unwrap();
    let spec = asked.iter().find_map(|request| match request {
        Request::Submit { spec, .. } => Some((**spec).clone()),
        _ => None,
    });
    spec.expect("a job was submitted")
}

fn curl(words: &[&str]) -> Vec<Command> {
    vec![Command { exec: words.iter().map(ToString::to_string).collect() }]
}

/// As curl sends data when it is not told what that is.
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn a_new_job_comes_back_as_it_was_sent_with_its_id() {
    let world = scheduler(Motion::Stopped, Verdict::Unknown);
    let sent = r#"{"action": "add_job", "command": [ "curl", "https://www.google.com/" ] }"#;
    let answer = world.send(Scope::Submit, "POST", "/scheduler/jobs/new", &[FORM], sent).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let expected = json!({"action": "add_job", "command": ["curl", "https://www.google.com/"],
        "request_id": "3", "schedulerjob-idx": "3"});
    assert_eq!(answer.json(), expected);
    let spec = submitted(&world);
    assert_eq!(spec.commands, curl(&["curl", "https://www.google.com/"]));
    assert!(spec.constraints.is_empty(), "the scheduler finds a node");
}

#[tokio::test]
async fn a_request_that_is_sent_again_keeps_its_id_and_is_no_new_job() {
    let world = scheduler(Motion::Stopped, Verdict::Unknown);
    let sent = r#"{"commands": [{"exec": ["true"]}], "environment": {"A": "$(rm x) 'y'\n"},
        "request_id": "again"}"#;
    let answer = world.post("/scheduler/jobs/add", sent).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["request_id"], "again");
    assert_eq!(answer.json()["schedulerjob-idx"], "3");
    assert_eq!(submitted(&world).environment["A"], "$(rm x) 'y'\n");
}

#[tokio::test]
async fn what_is_no_job_is_refused_with_the_key_that_was_sent() {
    let world = scheduler(Motion::Stopped, Verdict::Unknown);
    for (sent, says) in [
        ("", "there is no body"),
        ("[1]", "it must be a JSON object"),
        (r#"{"action": "remove_job"}"#, "`action`: the only action is `add_job`"),
        (r#"{"command": "ls"}"#, "`command`: invalid type: string \"ls\", expected a sequence"),
        (r#"{"command": ["a"], "commands": []}"#, "`command`: there is `commands`, too"),
        (r#"{"commands": [{"exec": ["a"]}], "enviroment": {}}"#, "unknown field `enviroment`"),
    ] {
        let answer = world.post("/scheduler/jobs/new", sent).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sent}");
        assert_eq!(answer.code(), "invalid_body", "{sent}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{sent}: {detail}");
    }
}

#[tokio::test]
async fn jobs_are_listed_by_their_numbers_on_as_many_pages_as_there_are() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let answer = world.get("/scheduler/jobs").await;
    assert_eq!(
        (answer.text().as_str(), answer.kind.as_str()),
        ("2\n1\n", "text/plain; charset=utf-8")
    );
}

#[tokio::test]
async fn a_status_has_the_four_fields_of_the_document() {
    for (state, status, words) in [
        (Motion::Stopped, Verdict::Unknown, ("stopped", "unknown")),
        (Motion::Running, Verdict::Unknown, ("running", "unknown")),
        (Motion::Stopped, Verdict::Good, ("stopped", "good")),
        (Motion::Stopped, Verdict::Error, ("stopped", "error")),
    ] {
        let world = scheduler(state, status);
        let expected = json!({"state": words.0, "status": words.1, "node": "n2",
            "created-at": "2021-11-01T00:00:00.000Z"});
        for path in [
            "/scheduler/jobs/2/status",
            "/nodemgr/jobs/2/status",
            "/processor/jobs/123456789/status",
            "/processor/job/123456789/status",
            "/processor/jobs/2/status",
        ] {
            assert_eq!(world.get(path).await.json(), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn an_update_ends_a_job_only_if_it_says_so() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let killed = |world: &World| {
        let asked = world.asked.lock().unwrap();
        let is = |request: &&Request| matches!(request, Request::Cancel { .. });
        asked.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    for path in ["/scheduler/jobs/2/update", "/scheduler/jobs/2/update?kill=0"] {
        assert_eq!(world.post(path, "").await.json()["state"], "running", "{path}");
    }
    assert_eq!(killed(&world), []);
    assert_eq!(world.post("/scheduler/jobs/2/update?kill=2", "").await.code(), "invalid_query");
    let answer = world.post("/scheduler/jobs/2/update?kill=1", "").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let what = Selection::job(JobId(2));
    assert_eq!(killed(&world), [Request::Cancel { what, now: false, reason: None }]);
    for path in ["/nodemgr/jobs/2/kill", "/processor/jobs/123456789/kill", "/processor/job/2/kill"]
    {
        assert_eq!(world.post(path, "").await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(killed(&world).len(), 4);
}

#[tokio::test]
async fn nodes_are_those_that_take_work() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let expected = json!({"nodes": [{"name": "n1", "ipv4": ["127.0.0.1"],
        "hostname": "127.0.0.1", "uri": "tls://127.0.0.1:7001"}]});
    for path in ["/scheduler/nodes/list", "/scheduler/nodes"] {
        assert_eq!(world.get(path).await.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_node_runs_what_it_is_given_and_nobody_else_does() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let path = "/nodemgr/jobs/run?job-number=2&json_data=%7B%22command%22:%5B%22ls%22%5D%7D";
    let answer = world.send(Scope::Submit, "POST", path, &[], "").await;
    let expected = json!({"nodejobs": [{"nodejob-idx": "3", "schedulerjob-idx": "2",
        "hostname": "127.0.0.1", "ipv4": ["127.0.0.1"]}]});
    assert_eq!(answer.json(), expected);
    let spec = submitted(&world);
    let value = "n1".to_owned();
    let here = Constraint { label: "node".to_owned(), operator: Operator::Eq, value };
    assert_eq!((spec.commands, spec.constraints), (curl(&["ls"]), vec![here]));
}

#[tokio::test]
async fn a_processor_takes_jobs_for_its_own_node_or_one_that_is_named() {
    for (path, on) in [
        ("/processor/jobs/new", "n1"),
        ("/processor/job/new", "n1"),
        ("/processor/jobs/new?node=n2", "n2"),
    ] {
        let world = scheduler(Motion::Running, Verdict::Unknown);
        let sent = r#"{"commands": [{"exec": ["curl", "https://www.google.com/"]}],
            "environment": {}, "request_id": "123456789"}"#;
        let answer = world.send(Scope::Submit, "POST", path, &[FORM], sent).await;
        assert_eq!(answer.json()["request_id"], "123456789", "{path}: {answer:?}");
        assert_eq!(submitted(&world).constraints[0].value, on, "{path}");
    }
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let lost = world.post("/processor/jobs/new?node=n9", r#"{"command": ["ls"]}"#).await;
    assert_eq!((lost.status, lost.code()), (StatusCode::NOT_FOUND, "no_such_node".to_owned()));
}

#[tokio::test]
async fn the_jobs_of_a_node_are_listed_and_told_by_their_requests() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    let expected = json!({"nodejobs": [{"nodejob-idx": "2", "schedulerjob-idx": "2",
        "hostname": "127.0.0.1", "ipv4": ["127.0.0.1"]}]});
    for path in ["/nodemgr/jobs", "/nodemgr/jobs/list", "/processor/jobs", "/processor/jobs/list"] {
        assert_eq!(world.get(path).await.json(), expected, "{path}");
    }
    let expected = json!({"jobs": [{"request_id": "123456789", "schedulerjob-idx": "2",
        "state": "running", "status": "unknown", "node": "n2",
        "created-at": "2021-11-01T00:00:00.000Z"}]});
    assert_eq!(world.get("/processor/jobs/status").await.json(), expected);
    let asked = world.asked.lock().unwrap();
    let is = |wanted: &dyn Fn(&JobQuery) -> bool| {
        asked.iter().any(|request| matches!(request, Request::Jobs(query) if wanted(query)))
    };
    assert!(is(&|query| query.labels == ["node=n1"]));
    assert!(is(&|query| query.node == Some(dx_agents::NodeId(1))));
}

#[tokio::test]
async fn who_may_only_read_changes_nothing_by_these_paths_either() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    for path in [
        "/scheduler/jobs/new",
        "/scheduler/jobs/add",
        "/scheduler/jobs/2/update?kill=1",
        "/nodemgr/jobs/run",
        "/nodemgr/jobs/2/kill",
        "/processor/jobs/new",
        "/processor/jobs/add",
        "/processor/job/new",
        "/processor/jobs/2/kill",
        "/processor/job/2/kill",
    ] {
        let sent = r#"{"command": ["ls"]}"#;
        let answer = world.send(Scope::Read, "POST", path, &[], sent).await;
        assert_eq!(answer.code(), "scope_too_small", "{path}");
    }
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_id_that_nobody_sent_is_told() {
    let world = scheduler(Motion::Running, Verdict::Unknown);
    for path in ["/processor/jobs/nothing/status", "/processor/jobs/nothing/log"] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::NOT_FOUND, "no_such_job".to_owned())
        );
    }
    assert_eq!(world.get("/scheduler/jobs/9/status").await.code(), "no_such_job");
}
