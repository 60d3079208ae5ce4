//! A node that serves the API, a controller and runners that answer as they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{Request as HttpRequest, StatusCode, header};
use axum::{Extension, Router, middleware};
use dx_agents::NodeId;
use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_scheduler::api::{Api, Caller, Place, Scope, explain};
use dx_scheduler::client::{
    Answer, Answered, Counts, JobState, JobView, Motion, Pair, Request, TaskView, Verdict,
};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::message::{ControllerMessage, RunnerMessage};
use dx_scheduler::processor::{LogPart, ReadLog};
use dx_scheduler::{controller_of, runner_of};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

pub const CONTROLLER: NodeId = NodeId(1);
pub const RUNNER: NodeId = NodeId(2);

pub struct World {
    runtime: Runtime,
    router: Router,
    pub stop: watch::Sender<bool>,
    pub asked: Arc<Mutex<Vec<Request>>>,
}

/// An answer that came whole.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub kind: String,
    pub body: Bytes,
}

impl Whole {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The code of a failure, whose shape is checked.
    pub fn code(&self) -> String {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16(), "{json}");
        assert!(json["detail"].is_string(), "{json}");
        json["code"].as_str().unwrap().to_owned()
    }
}

impl World {
    /// Whose controller answers so; `None` is silence.
    pub fn new(mut answers: impl FnMut(Request) -> Option<Answer> + Send + 'static) -> Self {
        let runtime = Runtime::start(RuntimeConfig {
            node: CONTROLLER,
            pool: 1,
            crew: 1,
            ..RuntimeConfig::default()
        })
        .unwrap();
        let controller = runtime.port_as(controller_of(CONTROLLER)).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        serve(controller, move |message: ControllerMessage| {
            let ControllerMessage::Client(question) = message else { panic!("{message:?}") };
            let request = question.open().unwrap();
            log.lock().unwrap().push(request.clone());
            answers(request).map(|answer| Answered::new(&answer))
        });
        let nodes = BTreeMap::from([(CONTROLLER, place("n1")), (RUNNER, place("n2"))]);
        let (stop, stopping) = watch::channel(false);
        let api = Api::new(runtime.port(), CONTROLLER, nodes, stopping);
        let router = api.router().layer(middleware::from_fn(explain));
        Self { runtime, router, stop, asked }
    }

    /// With a runner on node 2; it runs in this process.
    pub fn runner(
        self,
        mut answers: impl FnMut(ReadLog) -> Option<LogPart> + Send + 'static,
    ) -> Self {
        let runner = self.runtime.port_as(runner_of(RUNNER)).unwrap();
        serve(runner, move |message: RunnerMessage| {
            let RunnerMessage::Read(read) = message else { panic!("{message:?}") };
            answers(read)
        });
        self
    }

    pub fn router_for(&self, scope: Scope) -> Router {
        self.router.clone().layer(Extension(Caller { name: "ann".to_owned(), scope }))
    }

    pub fn router_for_nobody(&self) -> Router {
        self.router.clone()
    }

    pub async fn get(&self, path: &str) -> Whole {
        self.send(Scope::Admin, "GET", path, &[], "").await
    }

    pub async fn get_as(&self, path: &str, header: (&str, &str)) -> Whole {
        self.send(Scope::Admin, "GET", path, &[header], "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Whole {
        self.send(Scope::Admin, "POST", path, &[JSON], body).await
    }

    pub async fn send(
        &self,
        scope: Scope,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Whole {
        whole(self.router_for(scope), request(method, path, headers, body)).await
    }
}

pub const JSON: (&str, &str) = ("content-type", "application/json");

pub fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> HttpRequest<Body> {
    let mut request = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

pub async fn whole(router: Router, request: HttpRequest<Body>) -> Whole {
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let kind = kind.map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Whole { status, kind, body }
}

fn serve<Q: dx_agents::Message, A: dx_agents::Message>(
    port: Port,
    mut answers: impl FnMut(Q) -> Option<A> + Send + 'static,
) {
    tokio::spawn(async move {
        loop {
            let Heard::Message(received) = port.recv().await else { continue };
            let to = received.reply_to().unwrap();
            if let Some(answer) = answers(received.open().unwrap()) {
                port.reply(to, answer);
            }
        }
    });
}

/// A node of this name, as it might be reached.
pub fn place(name: &str) -> Place {
    let (host, uri) = ("127.0.0.1".to_owned(), format!("tls://127.0.0.1:{name}"));
    Place { name: name.to_owned(), host, uri: uri.replace(":n", ":700") }
}

/// A job, as it might be shown.
pub fn job(id: u64, version: u64, state: JobState) -> JobView {
    let has_ended = state >= JobState::Succeeded;
    JobView {
        id: JobId(id),
        name: None,
        command: "true".to_owned(),
        state,
        pair: Pair { state: Motion::Stopped, status: Verdict::Unknown },
        counts: Counts::default(),
        tasks: 1,
        by: "ann".to_owned(),
        request_id: None,
        labels: BTreeMap::new(),
        priority: 0,
        submitted: 1,
        started: None,
        ended: has_ended.then_some(2),
        version,
        exit: has_ended.then_some(0),
        progress: BTreeMap::new(),
    }
}

/// Task 0 of job 7, with these attempts on node 2.
pub fn task(state: TaskState, attempts: u32) -> TaskView {
    let attempt = |number| {
        let is_over = number < attempts || state.is_ended();
        let end = is_over.then_some("failed");
        serde_json::from_value(serde_json::json!({
            "number": number, "node": 2, "shim": 1, "assigned": 1, "started": 2,
            "ended": end.map(|_| 3), "finish": null, "end": end, "note": null, "node_name": "n2",
        }))
        .unwrap()
    };
    TaskView {
        values: BTreeMap::new(),
        job: JobId(7),
        index: 0,
        state,
        reason: None,
        due: None,
        progress: None,
        attempts: (1..=attempts).map(attempt).collect(),
    }
}
