//! Clients that know nothing of dx but HTTP.

use std::process::Command;

use super::strangers::{listening, token};

/// In the project's folder.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/http/follow.py");

#[test]
fn a_script_of_twenty_lines_submits_follows_and_ends_as_the_job_did() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3 is missing");
        return;
    }
    let (world, url) = listening();
    let token = token(&world, "script", "submit");
    for (script, printed, code) in
        [("printf '%s' \"it's $((1 + 1))\"", "it's 2", 0), ("echo bad >&2; exit 3", "bad\n", 3)]
    {
        let mut python = Command::new("python3");
        python.args([SCRIPT, "sh", "-c", script]);
        let output = python.env("DX_URL", &url).env("DX_TOKEN", &token).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(code), ""), "{script}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{script}");
    }
}
