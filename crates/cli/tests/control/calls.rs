use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use dx::control::{CallError, Client, Failure, Limits, Unreachable};
use dx::home::Home;
use dx_transport::id::{ClusterId, NodeId};
use serde_json::{Value, json};

use super::{Served, echo, folder};

fn local() -> ClusterId {
    "local".parse().unwrap()
}

#[tokio::test]
async fn any_node_that_answers_will_do() {
    let root = folder();
    let home = Home::at(root.path());
    let first = Served::start(root.path(), "n1", echo(), Limits::default());
    let second = Served::start(root.path(), "n2", echo(), Limits::default());
    // One has left its socket, one never runs, one listens and says nothing.
    first.stop().await;
    drop(UnixListener::bind(root.path().join("local/n1/control.sock")).unwrap());
    let cluster = home.open(&local()).unwrap();
    for name in ["n0", "n3"] {
        cluster.node(&name.parse().unwrap()).issue(NodeId(9), SystemTime::now(), false).unwrap();
    }
    let _silent = UnixListener::bind(root.path().join("local/n3/control.sock")).unwrap();
    let client = Client::any(&home, &local()).await.unwrap();
    assert_eq!(client.about().node.as_str(), "n2");
    let answer: Value = client.post("/v1/echo", &json!({ "a": [1] })).await.unwrap();
    assert_eq!(answer, json!({ "a": [1] }));
    assert_eq!(client.get_text("/metrics").await.unwrap(), "dx_links 3\n");
    second.stop().await;
    let error = client.get::<Value>("/v1/version").await.unwrap_err();
    assert_eq!(error.to_string(), "node n2 does not run");
}

#[tokio::test]
async fn who_cannot_be_asked_is_named() {
    let root = folder();
    let home = Home::at(root.path());
    let unreachable = async |cluster: &str| {
        Client::any(&home, &cluster.parse().unwrap()).await.unwrap_err().to_string()
    };
    home.create(&local()).unwrap();
    assert_eq!(unreachable("loacl").await, "no cluster `loacl` here; did you mean `local`?");
    let nobody = "no node of cluster `local` answers here: start one with `dx up`";
    assert_eq!(unreachable("local").await, nobody);
    let node = home.open(&local()).unwrap().node(&"web-1".parse().unwrap());
    node.issue(NodeId(1), SystemTime::now(), false).unwrap();
    assert_eq!(unreachable("local").await, nobody);
    let ask = async |name: &str| Client::node(&home, &local(), &name.parse().unwrap()).await;
    assert_eq!(ask("web-1").await.unwrap_err().to_string(), "node web-1 does not run");
    let unknown = "cluster `local` has no node `wbe-1` here; did you mean `web-1`?";
    assert_eq!(ask("wbe-1").await.unwrap_err().to_string(), unknown);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_stopped_is_not_waited_for_for_ever() {
    let root = folder();
    let home = Home::at(root.path());
    let node = home.open_or_create(&local()).unwrap().node(&"n1".parse().unwrap());
    node.issue(NodeId(1), SystemTime::now(), false).unwrap();
    let _stopped = UnixListener::bind(node.control_socket()).unwrap();
    let error = Client::any(&home, &local()).await.unwrap_err();
    let Unreachable::Nobody { tried, .. } = &error else { panic!("{error}") };
    assert!(matches!(tried[..], [CallError::Timeout { .. }]), "{error}");
    assert!(error.to_string().contains("node n1 did not answer within 2 s"), "{error}");
}

#[tokio::test]
async fn a_refusal_comes_with_its_code_and_hint() {
    let root = folder();
    let refuse = async || {
        Failure::new(StatusCode::CONFLICT, "job_ended", "job 7 has ended").hint("submit it again")
    };
    let never = async || std::future::pending::<()>().await;
    let routes = Router::new()
        .route("/v1/refuse", get(refuse))
        .route("/v1/never", get(never))
        .route("/v1/text", get(async || "no JSON"));
    let node = Served::start(root.path(), "n1", routes, Limits::default());
    let client = Client::any(&Home::at(root.path()), &local()).await.unwrap();
    let error = client.get::<Value>("/v1/refuse").await.unwrap_err();
    assert_eq!(error.to_string(), "job 7 has ended: submit it again");
    let is_conflict =
        matches!(error, CallError::Refused(failure) if failure.status == StatusCode::CONFLICT);
    assert!(is_conflict);
    let error = client.get::<Value>("/v1/versoin").await.unwrap_err();
    assert!(error.to_string().starts_with("nothing answers GET /v1/versoin"), "{error}");
    let error = client.get::<Value>("/v1/text").await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable { .. }), "{error}");
    let error = client.get::<Value>("no path").await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable { .. }), "{error}");
    let hasty = client.timeout(Duration::from_millis(10));
    let error = hasty.get::<Value>("/v1/never").await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    drop(node);
}
