//! A node with the REST API of jobs, which runs nothing: tests say what happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::extract::{Path as Segments, RawQuery, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use dx::control::{About, Failure, Limits, Socket};
use dx::home::Home;
use dx_transport::id::NodeId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

/// An event of a log: its name, and its data.
pub type Event = (&'static str, Value);

/// What the service knows, and what it was asked.
#[derive(Debug, Default)]
pub struct Known {
    pub jobs: BTreeMap<u64, Value>,
    pub tasks: BTreeMap<(u64, u64), Value>,
    /// The logs of attempts.
    pub logs: BTreeMap<(u64, u64, u64), Vec<Event>>,
    pub explanations: BTreeMap<(u64, u64), Value>,
    pub nodes: Vec<Value>,
    /// Each request that changes something: path with query, and body.
    pub asked: Vec<(String, Value)>,
    /// So many requests are answered with 503 first.
    pub away: u32,
}

/// A node that serves jobs, and a user who has it.
pub struct Fake {
    root: TempDir,
    pub known: Arc<Mutex<Known>>,
    changes: watch::Sender<u64>,
    _stop: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Shared {
    known: Arc<Mutex<Known>>,
    changes: watch::Sender<u64>,
}

impl Fake {
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let changes = watch::Sender::new(1);
        let shared = Shared { known: known.clone(), changes: changes.clone() };
        let (stop, stopped) = oneshot::channel::<()>();
        serve(&root.path().join("dx"), routes(shared), stopped);
        Self { root, known, changes, _stop: stop }
    }

    /// Changes what the service knows; whoever waits hears of it.
    pub fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
        let version = *self.changes.borrow() + 1;
        for job in self.known.lock().unwrap().jobs.values_mut() {
            job["version"] = version.into();
        }
        self.changes.send_replace(version);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
        command.args(arguments).current_dir(self.root.path());
        command.env("XDG_STATE_HOME", self.root.path());
        command.env_remove("DX_CLUSTER").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs to its end: exit code, standard output, standard error.
    pub async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        finish(self.command(arguments).spawn().unwrap()).await
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.root.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What was asked at `path`, in order.
    pub fn asked(&self, path: &str) -> Vec<Value> {
        let known = self.known.lock().unwrap();
        let of_it = known.asked.iter().filter(|(asked, _)| asked == path);
        of_it.map(|(_, body)| body.clone()).collect()
    }

    /// Waits until the `count`th request was made to `path`.
    pub async fn until_asked(&self, path: &str, count: usize) {
        let mut changes = self.changes.subscribe();
        while self.asked(path).len() < count {
            changes.changed().await.unwrap();
        }
    }
}

/// Exit code, standard output, standard error.
pub async fn finish(child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A job as the service shows it.
pub fn job(id: u64, state: &str, counts: &Value) -> Value {
    let tasks: u64 = counts.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let is_over = ["succeeded", "failed", "cancelled"].contains(&state);
    json!({
        "id": id, "name": null, "command": "true", "state": state,
        "pair": { "state": "stopped", "status": "unknown" }, "counts": counts, "tasks": tasks,
        "by": "ann", "labels": {}, "priority": 0, "submitted": 1_000, "started": 2_000,
        "ended": is_over.then_some(3_000), "version": 1, "exit": null, "progress": {},
    })
}

/// A task as the service shows it, with attempts that ended so.
pub fn task(job: u64, index: u64, state: &str, attempts: &[Value]) -> Value {
    json!({
        "job": job, "index": index, "state": state, "reason": null, "due": null,
        "progress": null, "attempts": attempts,
    })
}

/// A node as the service shows it.
pub fn node(name: &str, state: &str, attempts: u64, usage: &Value) -> Value {
    json!({
        "id": name.trim_start_matches('n').parse::<u32>().unwrap(), "name": name, "state": state,
        "reason": null, "labels": { "zone": "a" }, "capacity": { "cpus": 4.0, "memory": "8GiB" },
        "used": { "cpus": attempts as f64, "memory": "0B" }, "attempts": attempts, "shim": 1,
        "kill": "best_effort", "memory_enforced": false, "heard": null, "usage": usage,
        "quarantined_until": null, "faults": 0,
    })
}

/// An attempt that exited with a code, or runs.
pub fn attempt(number: u64, exit: Option<i32>) -> Value {
    let finish = exit.map(|code| {
        json!({
            "end": if code == 0 { "succeeded" } else { "failed" }, "command": 0,
            "exit": { "code": code }, "not_started": null, "yielded": false, "detached": false,
            "ran": 5_000_000, "cpu": 1_000_000, "max_rss": 4096, "printed": 3, "kept": 3,
        })
    });
    json!({
        "number": number, "node": 2, "shim": 1, "assigned": 1_500, "started": 2_000,
        "ended": exit.map(|_| 3_000), "finish": finish, "note": null, "node_name": "n2",
        "end": exit.map(|code| if code == 0 { "succeeded" } else { "failed" }),
    })
}

fn serve(home: &Path, routes: Router, stopped: oneshot::Receiver<()>) {
    let cluster = Home::at(home).open_or_create(&"local".parse().unwrap()).unwrap();
    let running = cluster.node(&"n1".parse().unwrap()).start(NodeId(1), SystemTime::now()).unwrap();
    let about = About::this_process(
        cluster.name().clone(),
        running.node.name().clone(),
        NodeId(1),
        running.incarnation,
    );
    let router = dx::control::router(about, String::new).merge(routes);
    let socket = Socket::bind(&running.node.control_socket()).unwrap();
    tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        socket.serve(router, Limits::default(), stopped).await;
        drop(running);
    });
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/v1/jobs", get(list).post(change))
        .route("/v1/jobs/{id}", get(one))
        .route("/v1/jobs/{id}/tasks", get(tasks))
        .route("/v1/jobs/{id}/tasks/{index}", get(one_task))
        .route("/v1/jobs/{id}/tasks/{index}/log", get(log))
        .route("/v1/jobs/{id}/tasks/{index}/explain", get(explain))
        .route("/v1/jobs/{id}/{what}", get(detail))
        .route("/v1/nodes", get(nodes))
        .route("/v1/nodes/{name}", get(one_node))
        .route("/v1/nodes/{name}/{what}", post(change))
        .route("/v1/{what}", any(change))
        .with_state(shared)
}

type Answer = Result<Json<Value>, Failure>;

fn found(value: Option<&Value>, what: &str) -> Answer {
    let missing = || Failure::new(StatusCode::NOT_FOUND, "no_job", format!("there is no {what}"));
    value.cloned().map(Json).ok_or_else(missing)
}

async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    shared.answer()?;
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let before = number("before").unwrap_or(u64::MAX);
    let limit = number("limit").unwrap_or(1000) as usize;
    let known = shared.known.lock().unwrap();
    let team = value("label").map(|label| label.replace("%3D", "="));
    let wanted = known.jobs.range(..before).rev().map(|(_, job)| job).filter(|job| {
        let labels = job["labels"].as_object().unwrap().iter();
        let mut labels = labels.map(|(k, v)| format!("{k}={}", v.as_str().unwrap()));
        let is_labelled = team.as_ref().is_none_or(|team| labels.any(|label| &label == team));
        is_labelled && value("state").is_none_or(|state| job["state"] == state.as_str())
    });
    let all: Vec<Value> = wanted.cloned().collect();
    let page = &all[..limit.min(all.len())];
    let next = (all.len() > limit).then(|| page.last().unwrap()["id"].clone());
    Ok(Json(json!({ "jobs": page, "next": next, "version": 1 })))
}

async fn one(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
    RawQuery(query): RawQuery,
) -> Answer {
    shared.answer()?;
    let query = query.unwrap_or_default();
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since="));
    if let Some(since) = since.and_then(|since| since.parse::<u64>().ok()) {
        drop(shared.changes.subscribe().wait_for(|version| *version > since).await);
    }
    found(shared.known.lock().unwrap().jobs.get(&id), &format!("job {id}"))
}

async fn tasks(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
    RawQuery(query): RawQuery,
) -> Answer {
    shared.answer()?;
    let query = query.unwrap_or_default();
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    let number = |name| pairs().find(|(key, _)| *key == name).map(|(_, n)| n.parse().unwrap());
    let (from, limit) = (number("from").unwrap_or(0), number("limit").unwrap_or(1000));
    let states: Vec<&str> = pairs().filter(|(key, _)| *key == "state").map(|(_, s)| s).collect();
    let known = shared.known.lock().unwrap();
    let all = known.tasks.range((id, from)..(id + 1, 0)).map(|(_, task)| task);
    let is_wanted =
        |task: &&Value| states.is_empty() || states.contains(&task["state"].as_str().unwrap());
    let mut tasks: Vec<Value> = all.filter(is_wanted).cloned().collect();
    let next = tasks.get(limit as usize).map(|task| task["index"].clone());
    tasks.truncate(limit as usize);
    Ok(Json(json!({ "tasks": tasks, "next": next })))
}

async fn one_task(State(shared): State<Shared>, Segments(id): Segments<(u64, u64)>) -> Answer {
    shared.answer()?;
    found(shared.known.lock().unwrap().tasks.get(&id), &format!("task {}.{}", id.0, id.1))
}

async fn explain(State(shared): State<Shared>, Segments(id): Segments<(u64, u64)>) -> Answer {
    found(shared.known.lock().unwrap().explanations.get(&id), &format!("task {}.{}", id.0, id.1))
}

async fn detail(
    State(shared): State<Shared>,
    Segments((id, what)): Segments<(u64, String)>,
) -> Answer {
    let known = shared.known.lock().unwrap();
    found(known.jobs.get(&id).and_then(|job| job.get(&what)), &format!("job {id}"))
}

async fn nodes(State(shared): State<Shared>) -> Answer {
    shared.answer()?;
    Ok(Json(json!({ "nodes": shared.known.lock().unwrap().nodes })))
}

async fn one_node(State(shared): State<Shared>, Segments(name): Segments<String>) -> Answer {
    let known = shared.known.lock().unwrap();
    found(known.nodes.iter().find(|node| node["name"] == name.as_str()), &format!("node {name}"))
}

/// All events of a log from where it is wanted. One that is called `cut` ends the answer early.
async fn log(
    State(shared): State<Shared>,
    Segments((job, index)): Segments<(u64, u64)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Failure> {
    shared.answer()?;
    let query = query.unwrap_or_default();
    let number = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).and_then(|(_, n)| n.parse::<u64>().ok())
    };
    let known = shared.known.lock().unwrap();
    let log = known.logs.get(&(job, index, number("attempt").unwrap_or(1)));
    let events = log.cloned().unwrap_or_else(|| vec![("end", json!({ "dropped": 0 }))]);
    let from = number("from").unwrap_or(0) as usize;
    let mut text = String::new();
    for (at, (name, data)) in events.iter().enumerate().skip(from) {
        // A connection that was cut goes on after it when it is asked again.
        if *name == "cut" && at > from {
            break;
        } else if *name != "cut" {
            // As a node does it: who comes back has had all pieces of an answer, or none.
            let is_last = events.get(at + 1).is_none_or(|(next, _)| *next != "piece");
            let id = if is_last { format!("id: 1.{}\n", at + 1) } else { String::new() };
            write!(text, "{id}event: {name}\ndata: {data}\n\n").unwrap();
        }
    }
    Ok(([("content-type", "text/event-stream")], text))
}

async fn change(
    State(shared): State<Shared>,
    uri: axum::http::Uri,
    Json(body): Json<Value>,
) -> Answer {
    shared.answer()?;
    let path = uri.path_and_query().unwrap().to_string();
    let mut known = shared.known.lock().unwrap();
    known.asked.push((path.clone(), body));
    drop(known);
    shared.changes.send_modify(|_| {});
    let node = path.strip_prefix("/v1/nodes/").and_then(|rest| rest.split('/').next());
    if let Some(name) = node {
        let known = shared.known.lock().unwrap();
        return found(known.nodes.iter().find(|node| node["name"] == name), "such node");
    }
    Ok(Json(if path.starts_with("/v1/graphs") {
        let taken = |job: u64| json!({ "job": job, "is_repeat": false });
        json!({ "jobs": { "build": taken(8), "fetch": taken(7) }, "warnings": [] })
    } else if path.starts_with("/v1/jobs") {
        json!({ "job": 7, "is_repeat": false, "warnings": [] })
    } else {
        json!({ "changed": 1 })
    }))
}

impl Shared {
    fn answer(&self) -> Result<(), Failure> {
        let mut known = self.known.lock().unwrap();
        if known.away == 0 {
            return Ok(());
        }
        known.away -= 1;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Err(Failure::new(status, "no_controller", "node n1 does not reach the controller"))
    }
}
