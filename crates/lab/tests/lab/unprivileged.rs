//! The same tests once more, with fewer rights.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Nobody's user and group on every Linux system.
const NOBODY: &str = "65534";

/// This test binary where anybody may run it; removed when dropped.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dx-lab-{name}-{}", std::process::id()));
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// A command line that runs the program after it as a user without rights.
fn nobody() -> Vec<&'static str> {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let demote = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    if is_root { demote.to_vec() } else { vec!["env"] }
}

fn run(words: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir("/").env_remove(dx_lab::REQUIRED).output()
}

/// Runs all other tests behind `prefix`; whether they passed, what they
/// printed, and the lines that say that one was skipped.
fn run_tests(prefix: &[&str], binary: &Copy) -> (bool, String, Vec<String>) {
    let tests = [binary.0.to_str().unwrap(), "--skip", "unprivileged::", "--test-threads", "2"];
    let output = run(&[prefix, &tests].concat()).unwrap();
    let (told, noise) = (lossy(&output.stdout), lossy(&output.stderr));
    let skips = noise.lines().filter(|line| line.starts_with("skipped: "));
    let skips = skips.map(str::to_owned).collect();
    (output.status.success(), told + &noise, skips)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why this machine cannot run a command behind `prefix`, if it cannot.
fn obstacle(prefix: &[&str]) -> Option<String> {
    match run(&[prefix, &["true"]].concat()) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(lossy(&output.stderr)),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn everything_works_in_a_user_namespace_too() {
    let prefix = [nobody(), vec!["unshare", "-Urnm"]].concat();
    if let Some(reason) = obstacle(&prefix) {
        eprintln!("skipped: no user namespaces: {reason}");
        return;
    }
    let (passed, told, skips) = run_tests(&prefix, &Copy::new("user-namespace"));
    assert!(passed, "{told}");
    assert!(skips.is_empty(), "{skips:?}");
}

#[test]
fn without_rights_every_test_says_why_it_is_skipped() {
    if let Some(reason) = obstacle(&nobody()) {
        eprintln!("skipped: no other user: {reason}");
        return;
    }
    let binary = Copy::new("no-rights");
    let (passed, told, skips) = run_tests(&nobody(), &binary);
    assert!(passed, "{told}");
    let count = told.matches(" ... ok").count();
    assert_eq!(skips.len(), count, "{told}");
    assert!(skips.iter().all(|line| line.ends_with("or under `unshare -Urn` as any user")));

    let required = format!("{}=1", dx_lab::REQUIRED);
    let (passed, ..) = run_tests(&[nobody(), vec!["env", &required]].concat(), &binary);
    assert!(!passed, "a required lab was skipped");
}
