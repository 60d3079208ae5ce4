use dx::control::{Failure, Limits};
use serde_json::{Value, json};

use super::{Served, curl, echo, folder};

#[tokio::test]
async fn curl_learns_who_answers() {
    let root = folder();
    let node = Served::start(root.path(), "n1", echo(), Limits::default());
    let (body, status) = curl(&node.socket(), &["http://dx/v1/version"]).await;
    let about: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(about["node"], "n1");
    assert_eq!(about["cluster"], "local");
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["incarnation"], json!(node.running.incarnation.0));
    let (metrics, _) = curl(&node.socket(), &["http://dx/metrics"]).await;
    assert_eq!(metrics, "dx_links 3\n");
}

#[tokio::test]
async fn every_failure_has_the_same_shape() {
    let root = folder();
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let node = Served::start(root.path(), "n1", echo(), limits);
    let echo = "http://dx/v1/echo";
    let json = ["--header", "content-type: application/json"];
    let large = "7".repeat(1001);
    let cases: [(&[&str], u16, &str); 6] = [
        (&["http://dx/v1/versoin"], 404, "not_found"),
        (&["--request", "DELETE", echo], 405, "method_not_allowed"),
        (&[echo, "--data", "{}"], 415, "unsupported_media_type"),
        (&[echo, json[0], json[1], "--data", "{"], 400, "bad_request"),
        (&[echo, json[0], json[1], "--data", &large], 413, "payload_too_large"),
        (&["http://dx/../../etc/passwd", "--path-as-is"], 404, "not_found"),
    ];
    for (arguments, expected, code) in cases {
        let (body, status) = curl(&node.socket(), arguments).await;
        assert_eq!(status, expected, "{arguments:?}: {body}");
        let failure: Failure = serde_json::from_str(&body).unwrap();
        assert_eq!(failure.code, code, "{arguments:?}");
        assert!(!failure.message.is_empty(), "{arguments:?}");
    }
    let (body, status) = curl(&node.socket(), &[echo, json[0], json[1], "--data", "[1]"]).await;
    assert_eq!((body.as_str(), status), ("[1]", 200));
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_connection_and_no_other() {
    let root = folder();
    let node = Served::start(root.path(), "n1", echo(), Limits::default());
    let (_, status) = curl(&node.socket(), &["http://dx/v1/fail"]).await;
    assert_eq!(status, 0);
    let (_, status) = curl(&node.socket(), &["http://dx/v1/version"]).await;
    assert_eq!(status, 200);
}
