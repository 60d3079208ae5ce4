//! The example that has the job service inside, run as a user would.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::PathBuf;
use std::process::Command;

/// Built beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let file = folder.join("embedded");
    assert!(file.exists(), "{} is missing: `cargo build --examples` first", file.display());
    file
}

#[test]
fn a_program_with_the_job_service_inside_runs_jobs_and_leaves_nothing() {
    // What is left of it would be found by this.
    let marker = format!("embedded-{}", std::process::id());
    let lines = ["echo \"it's\" '$(id)'", "exit 3", &format!("sleep 600 & echo {marker}")];
    let output = Command::new(example()).args(lines).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    let expected = format!("$ {}\nit's $(id)\n$ exit 3\n$ {}\n{marker}\n", lines[0], lines[2]);
    assert_eq!(stdout, expected);
    assert_eq!(stderr.trim(), "job 1 is Failed: 2 Succeeded, 1 Failed");
    let of_it = |pid: &PathBuf| {
        let environment = std::fs::read(pid.join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&marker)
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<PathBuf> = processes.filter(of_it).collect();
    assert!(left.is_empty(), "{left:?}");
}
