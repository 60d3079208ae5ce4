//! The same tests once more, without root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

/// Nobody's user and group on every Linux system.
const NOBODY: &str = "65534";

/// The command line that gives an ordinary user a network of its own.
fn unshared() -> Command {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        let mut command = Command::new("unshare");
        command.arg("-Urnm");
        return command;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "unshare", "-Urnm"]);
    command
}

/// Why this machine cannot do it, if it cannot.
fn obstacle() -> Option<String> {
    match unshared().arg("true").output() {
        Ok(Output { status, .. }) if status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn everything_works_in_a_user_namespace_too() {
    if let Some(reason) = obstacle() {
        eprintln!("skipped: no user namespaces: {reason}");
        return;
    }
    // Nobody may not read the folder where this binary was built.
    let binary = std::env::temp_dir().join(format!("dx-lab-unprivileged-{}", std::process::id()));
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let mut command = unshared();
    command.arg(&binary).args(["--skip", "unprivileged::", "--test-threads", "2"]);
    let output = command.current_dir("/").env_remove(dx_lab::REQUIRED).output();
    fs::remove_file(&binary).unwrap();
    let output = output.unwrap();
    let (told, skips) = (lossy(&output.stdout), lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{skips}");
    let skips: Vec<&str> = skips.lines().filter(|line| line.starts_with("skipped")).collect();
    assert!(skips.is_empty(), "{skips:?}");
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
