use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use dx::control::{BindError, Limits, Socket};
use tokio::sync::Notify;

use super::{Served, curl, echo, folder};

#[tokio::test]
async fn a_dead_nodes_socket_is_replaced_and_a_living_ones_is_not() {
    let root = folder();
    let path = root.path().join("control.sock");
    // Dropping the listener closes it and leaves the file, as a kill does.
    drop(UnixListener::bind(&path).unwrap());
    let living = Socket::bind(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    drop(living);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let root = folder();
    let path = root.path().join("control.sock");
    fs::write(&path, "precious").unwrap();
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, BindError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_socket_that_took_the_place_is_not_removed() {
    let root = folder();
    let path = root.path().join("control.sock");
    let first = Socket::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Socket::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn what_was_begun_is_finished_before_the_end() {
    let root = folder();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, go) = (begun.clone(), go.clone());
        async move || {
            begun.notify_one();
            go.notified().await;
            "done"
        }
    };
    let routes = Router::new().route("/v1/slow", get(handler)).merge(echo());
    let node = Served::start(root.path(), "n1", routes, Limits::default());
    let socket = node.socket();
    let asked = {
        let socket = socket.clone();
        tokio::spawn(async move { curl(&socket, &["http://dx/v1/slow"]).await })
    };
    begun.notified().await;
    drop(node.stop);
    go.notify_one();
    assert_eq!(asked.await.unwrap(), ("done".to_owned(), 200));
    node.task.await.unwrap();
    assert!(!socket.exists());
}
