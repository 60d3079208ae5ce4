use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dx::control::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::{Served, curl, echo, folder};

const SOON: Duration = Duration::from_millis(20);

/// Sends `text`, and returns what comes until the node ends the connection.
async fn say(node: &Served, text: &str) -> String {
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    // A connection that is cut off with something unread ends in errors; what came, came.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_sent_away() {
    let root = folder();
    let limits = Limits { head: SOON, ..Limits::default() };
    let node = Served::start(root.path(), "n1", echo(), limits);
    say(&node, "").await;
    say(&node, "GET /v1/ver").await;
    say(&node, "GET /v1/version HTTP/1.1\r\nhost: dx\r\nx: ").await;
    // So is one that keeps its connection and asks nothing more.
    let answer = say(&node, "GET /v1/version HTTP/1.1\r\nhost: dx\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_is_the_one_that_was_set() {
    let root = folder();
    let limits = Limits { head: Duration::from_hours(1), ..Limits::default() };
    let node = Served::start(root.path(), "n1", echo(), limits.clone());
    let start = tokio::time::Instant::now();
    say(&node, "GET /v1/ver").await;
    // The clock is the runtime's own, which jumps to the next timer when there is nothing to do.
    assert!(start.elapsed() >= limits.head, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_answered_and_sent_away() {
    let root = folder();
    let limits = Limits { body: SOON, head: SOON, ..Limits::default() };
    let node = Served::start(root.path(), "n1", echo(), limits);
    let head = "POST /v1/echo HTTP/1.1\r\nhost: dx\r\ncontent-type: application/json\r\n";
    let answer = say(&node, &format!("{head}content-length: 10\r\n\r\n[1")).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    let answer = say(&node, &format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n[1\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answer_is_cut_off() {
    let root = folder();
    // Nothing else would end it in the test's time.
    let limits = Limits { write_pause: SOON, drain: Duration::from_hours(1), ..Limits::default() };
    let large = "x".repeat(8 * 1024 * 1024);
    let length = large.len();
    let routes = Router::new().route("/v1/large", get(async move || large));
    let node = Served::start(root.path(), "n1", routes, limits);
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    stream.write_all(b"GET /v1/large HTTP/1.1\r\nhost: dx\r\n\r\n").await.unwrap();
    // The node leaves nothing running that could still write: its one connection ends by itself.
    node.stop().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < length, "{} bytes came", answer.len());
}

#[tokio::test]
async fn garbage_is_refused_and_harms_nobody() {
    let root = folder();
    let node = Served::start(root.path(), "n1", echo(), Limits::default());
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1024 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for garbage in ["\0\x01\x02\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", &long, &many] {
        let answer = say(&node, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(curl(&node.socket(), &["http://dx/v1/version"]).await.1, 200);
}

#[tokio::test]
async fn more_clients_than_places_wait_for_one() {
    let root = folder();
    let limits = Limits { connections: 2, ..Limits::default() };
    let node = Served::start(root.path(), "n1", echo(), limits);
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = UnixStream::connect(node.socket()).await.unwrap();
        stream.write_all(b"GET /v1/version HTTP/1.1\r\nhost: dx\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        idle.push(stream);
    }
    let socket = node.socket();
    let mut third = tokio::spawn(async move { curl(&socket, &["http://dx/v1/version"]).await });
    let early = tokio::time::timeout(SOON, &mut third).await;
    assert!(early.is_err(), "the third of two was answered: {early:?}");
    idle.pop();
    assert_eq!(third.await.unwrap().1, 200);
}

#[tokio::test]
async fn another_user_is_turned_away() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may become another user");
        return;
    }
    let root = folder();
    let node = Served::start(root.path(), "n1", echo(), Limits::default());
    // As if somebody had opened all that is closed, of which the socket must not depend.
    for path in [root.path(), &root.path().join("local"), &root.path().join("local/n1")] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(node.socket(), Permissions::from_mode(0o777)).unwrap();
    let mut reachable = Command::new("test");
    reachable.arg("-w").arg(node.socket()).uid(65534);
    assert!(reachable.status().await.unwrap().success(), "only the node itself is in the way");
    let mut command = Command::new("curl");
    command.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    command.arg("--unix-socket").arg(node.socket()).arg("http://dx/v1/version").uid(65534);
    let output = command.output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "000");
}
