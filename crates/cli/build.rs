//! Tells the program what it was built from: the commit, and the versions of the libraries that
//! its benches measure. Both stay empty where they cannot be known.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The libraries whose version matters to a measurement.
const LIBRARIES: [&str; 5] = ["aws-lc-rs", "quinn", "rustls", "tokio", "tokio-rustls"];

fn main() {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo::rustc-env=DX_COMMIT={}", commit(&crate_dir).unwrap_or_default());
    println!("cargo::rustc-env=DX_LIBRARIES={}", libraries(&crate_dir).unwrap_or_default());
}

/// The commit of the working copy, with a `+` where something in it was changed.
fn commit(dir: &Path) -> Option<String> {
    let log = git(dir, &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={}", dir.join(log).display());
    let commit = git(dir, &["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(dir, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { commit + "+" })
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(dir).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `name version` of each library, from the lockfile of the workspace or of the package.
fn libraries(dir: &Path) -> Option<String> {
    let lockfile = dir.ancestors().map(|dir| dir.join("Cargo.lock")).find(|file| file.exists())?;
    println!("cargo::rerun-if-changed={}", lockfile.display());
    let text = fs::read_to_string(lockfile).ok()?;
    let found = LIBRARIES.iter().filter_map(|name| {
        let (_, entry) = text.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", entry.split_once('"')?.0))
    });
    Some(found.collect::<Vec<_>>().join(","))
}
