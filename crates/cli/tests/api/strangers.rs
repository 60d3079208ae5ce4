use std::net::TcpListener;

use serde_json::json;

use super::world::{Got, World, curl};

/// A cluster that also listens at a TCP port.
pub fn listening() -> (World, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let world = World::start(&format!("[jobs]\nlisten = \"{address}\"\n"));
    (world, format!("http://{address}"))
}

pub fn token(world: &World, name: &str, scope: &str) -> String {
    let (code, stdout, stderr) =
        world.user.run(&["token", "create", name, "--scope", scope, "--cluster", "jobs"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    stdout.trim().to_owned()
}

fn ask(url: &str, headers: &[&str], more: &[&str]) -> Got {
    let headers: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
    curl(&[&[url], &headers[..], more].concat())
}

#[test]
fn a_wrong_or_missing_token_never_gets_in() {
    let (world, url) = listening();
    let jobs = format!("{url}/v1/jobs");
    let secret = token(&world, "ci", "submit");
    let bearer = format!("authorization: Bearer {secret}");
    assert_eq!(ask(&jobs, &[&bearer], &[]).status, 200);
    assert_eq!(ask(&format!("{url}/scheduler/jobs"), &[&bearer], &[]).status, 200);
    let short = &bearer[..bearer.len() - 1];
    let wrong: [&[&str]; 8] = [
        &[],
        &["authorization:"],
        &["authorization: Bearer"],
        &["authorization: Bearer x"],
        &[short],
        &[&format!("authorization: Basic {secret}")],
        &[&format!("x-token: {secret}")],
        &[&bearer, &bearer],
    ];
    for headers in wrong {
        for path in [
            "/v1/jobs",
            "/v1/openapi.json",
            "/v1/nothing",
            "/",
            "/v1/stop",
            "/v1/configuration",
            "/scheduler/jobs",
            "/processor/jobs/new",
        ] {
            let got = ask(&format!("{url}{path}"), headers, &[]);
            assert_eq!(got.status, 401, "{path} {headers:?}: {got:?}");
            got.code();
        }
    }
    // What a node has beside the API is not there for strangers, with a token either.
    for path in ["/v1/stop", "/v1/configuration", "/v1/status", "/metrics"] {
        let got = ask(&format!("{url}{path}"), &[&bearer], &["-X", "POST"]);
        assert_eq!(got.code(), "not_found", "{path}");
    }
    let (code, _, _) = world.user.run(&["token", "revoke", "ci", "--cluster", "jobs"]);
    assert_eq!(code, 0);
    assert_eq!(ask(&jobs, &[&bearer], &[]).code(), "invalid_token");
}

#[test]
fn a_token_allows_what_its_scope_says_and_is_in_no_log() {
    let (world, url) = listening();
    let (read, submit, admin) =
        (token(&world, "r", "read"), token(&world, "s", "submit"), token(&world, "a", "admin"));
    let bearer = |secret: &str| format!("authorization: Bearer {secret}");
    let json = "content-type: application/json";
    let body =
        json!({ "commands": [{ "exec": ["true"] }], "environment": { "KEY": "s3cr3t-value" } });
    let body = ["--data".to_owned(), body.to_string()];
    let body: Vec<&str> = body.iter().map(String::as_str).collect();
    let jobs = format!("{url}/v1/jobs");
    assert_eq!(ask(&jobs, &[&bearer(&read), json], &body).code(), "scope_too_small");
    let got = ask(&jobs, &[&bearer(&submit), json], &body);
    assert_eq!(got.status, 201, "{got:?}");
    let view = world.ended(got.json()["job"].as_u64().unwrap());
    assert_eq!(view["by"], "s");
    let drain = format!("{url}/v1/nodes/n2/drain");
    assert_eq!(ask(&drain, &[&bearer(&submit)], &["-X", "POST"]).code(), "scope_too_small");
    assert_eq!(ask(&drain, &[&bearer(&admin)], &["-X", "POST"]).status, 200);

    let (_, listed, _) = world.user.run(&["token", "ls", "--cluster", "jobs", "--json"]);
    let cluster = world.user.home().join("jobs");
    let logs = ["n1/log", "n2/log"].map(|log| std::fs::read_to_string(cluster.join(log)).unwrap());
    let kept = std::fs::read_to_string(cluster.join("tokens")).unwrap();
    for secret in [&read, &submit, &admin] {
        for text in logs.iter().chain([&listed, &kept]) {
            assert!(!text.contains(secret.as_str()) && !text.contains("s3cr3t-value"), "{text}");
        }
    }
}

#[test]
fn a_page_of_somebody_else_gets_no_answer() {
    let (world, url) = listening();
    let bearer = format!("authorization: Bearer {}", token(&world, "ci", "read"));
    let jobs = format!("{url}/v1/jobs");
    for header in [
        "host: evil.example",
        "host: localhost.evil.example",
        "origin: http://evil.example",
        "origin: null",
    ] {
        let got = ask(&jobs, &[&bearer, header], &[]);
        assert_eq!((got.status, got.code().as_str()), (403, "foreign_page"), "{header}");
    }
    let own = format!("origin: {url}");
    assert_eq!(ask(&jobs, &[&bearer, &own], &[]).status, 200);
    assert_eq!(ask(&jobs, &[&bearer, "host: localhost"], &[]).status, 200);
}

#[test]
fn names_of_tokens_that_cannot_be_are_refused() {
    let (world, _) = listening();
    let run = |arguments: &[&str]| {
        world.user.run(&[&["token"], arguments, &["--cluster", "jobs"]].concat())
    };
    assert_eq!(run(&["create", "a b"]).0, 2);
    assert_eq!(run(&["create", "ci", "--scope", "root"]).0, 2);
    assert_eq!(run(&["create", "ci"]).0, 0);
    let (code, _, stderr) = run(&["create", "ci"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("there is a token `ci`"), "{stderr}");
    let (code, _, stderr) = run(&["revoke", "co"]);
    assert_eq!(code, 2, "{stderr}");
    let (code, _, stderr) = world.user.run(&["token", "ls", "--cluster", "jbos"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean `jobs`?"), "{stderr}");
}
