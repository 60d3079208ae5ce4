//! The API beyond this machine: with TLS, as whoever asks can check.

use dx_lab::{Host, Lab, or_skip};

use super::terminal::{Program, User};
use super::world::{Got, curl};

const PORT: u16 = 9443;

/// What a node's certificate names.
const NAME: &str = "node-1.dx.internal";

fn ask(from: &Host, at: &Host, path: &str, more: &[&str]) -> Got {
    let resolve = format!("{NAME}:{PORT}:{}", at.address());
    let url = format!("https://{NAME}:{PORT}{path}");
    from.enter(|| curl(&[&["--resolve", &resolve, &url], more].concat()))
}

#[test]
fn beyond_this_machine_the_api_proves_who_it_is_and_is_never_in_the_clear() {
    let Some(lab) = or_skip(Lab::new("api")) else { return };
    let hosts = ["served", "asking"].map(|name| lab.host(name).unwrap());
    let user = User::new();
    let address = hosts[0].address();
    let file = user.file(
        "jobs.toml",
        &format!(
            "[node.n1]\nid = 1\naddress = \"{address}:7001\"\nroles = [\"controller\", \"runner\"]\n\
             [jobs]\nlisten = \"{address}:{PORT}\"\n"
        ),
    );
    let command = user.command(&["up", file.to_str().unwrap()]);
    let mut up: Program = hosts[0].enter(|| Program::start(command));
    up.wait_for("ready");
    let (code, token, stderr) =
        user.run(&["token", "create", "far", "--scope", "submit", "--cluster", "jobs"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let bearer = format!("authorization: Bearer {}", token.trim());
    let authority = user.home().join("jobs/ca.pem");
    let trusted = ["--cacert", authority.to_str().unwrap(), "-H", &bearer];

    let jobs = ask(&hosts[1], &hosts[0], "/scheduler/jobs", &trusted);
    assert_eq!((jobs.status, jobs.body.as_str()), (200, ""), "{jobs:?}");
    let stranger = ask(&hosts[1], &hosts[0], "/v1/jobs", &trusted[..2]);
    assert_eq!((stranger.status, stranger.code()), (401, "no_token".to_owned()));
    // Nobody trusts it who does not know the cluster's authority, and a token is not sent.
    assert_eq!(ask(&hosts[1], &hosts[0], "/v1/jobs", &trusted[2..]).status, 0);
    // In the clear there is no answer.
    let clear = format!("http://{address}:{PORT}/v1/jobs");
    assert_eq!(hosts[1].enter(|| curl(&[&clear, "-H", &bearer])).status, 0);
    up.interrupt();
}
