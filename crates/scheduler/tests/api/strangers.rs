use axum::http::StatusCode;
use dx_scheduler::api::{MAX_BODY, Scope, document};
use dx_scheduler::client::Answer;

use super::world::{JSON, World, request, whole};

/// Every method and path that there is, with something in place of what stands in braces.
fn routes() -> Vec<(String, String, String)> {
    let document = document();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "7").replace("{index}", "0").replace("{name}", "n2");
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            routes.push((method.to_uppercase(), concrete.clone(), id));
        }
    }
    assert!(routes.len() > 20, "{routes:?}");
    routes
}

#[tokio::test]
async fn nothing_is_answered_to_whom_nobody_knows() {
    let world = World::new(|request| panic!("{request:?}"));
    for (method, path, _) in routes() {
        let answer = whole(world.router_for_nobody(), request(&method, &path, &[JSON], "{}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.code(), "no_token");
    }
}

#[tokio::test]
async fn nobody_does_more_than_his_scope_allows() {
    let world = World::new(|_| Some(Answer::Done { changed: 1 }));
    for (method, path, _) in routes() {
        let least = match (method.as_str(), path.ends_with("drain")) {
            (_, true) => Scope::Admin,
            ("POST", _) => Scope::Submit,
            _ => Scope::Read,
        };
        for scope in [Scope::Read, Scope::Submit, Scope::Admin] {
            world.asked.lock().unwrap().clear();
            let answer = world.send(scope, &method, &path, &[JSON], r#"{"what":["7"]}"#).await;
            let is_forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(is_forbidden, scope < least, "{method} {path} {scope:?}: {answer:?}");
            assert!(!is_forbidden || world.asked.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_refused() {
    // So that no page in a browser can send one without asking first.
    let world = World::new(|request| panic!("{request:?}"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("content-type", kind)];
        let body = r#"{"commands":[{"exec":["true"]}]}"#;
        let answer = world.send(Scope::Admin, "POST", "/v1/jobs", &headers, body).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        answer.code();
    }
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let world = World::new(|request| panic!("{request:?}"));
    let answer = world.post("/v1/jobs", &" ".repeat(MAX_BODY + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.code(), "payload_too_large");
}

#[tokio::test]
async fn every_path_that_is_none_says_so() {
    let world = World::new(|request| panic!("{request:?}"));
    for (path, status, code) in [
        ("/v1/jbos", 404, "not_found"),
        ("/v1/jobs/x", 400, "invalid_path"),
        ("/v1/jobs/-1", 400, "invalid_path"),
        ("/v1/jobs/99999999999999999999", 400, "invalid_path"),
        ("/v1/jobs/7/tasks/x", 400, "invalid_path"),
        ("/v1/jobs/7/tasks/-1/log", 400, "invalid_path"),
        ("/v1/jobs/%ff", 400, "invalid_path"),
        ("/v1/nodes/%ff", 400, "bad_request"),
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path}");
    }
    let answer = world.send(Scope::Admin, "DELETE", "/v1/jobs/7", &[], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.code(), "method_not_allowed");
}
