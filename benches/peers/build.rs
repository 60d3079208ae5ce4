//! Tells the program the versions of the peers, from the lock file.

use std::fs;

/// The peers, and what they run on.
const LIBRARIES: [&str; 12] = [
    "actix",
    "async-nats",
    "aws-lc-rs",
    "h2",
    "kameo",
    "quinn",
    "ractor",
    "rustls",
    "tarpc",
    "tokio",
    "tonic",
    "zenoh",
];

fn main() {
    // One lock file for the packages of this folder.
    let file =
        if fs::exists("Cargo.lock").unwrap_or(false) { "Cargo.lock" } else { "../Cargo.lock" };
    println!("cargo::rerun-if-changed={file}");
    let lock = fs::read_to_string(file).expect("cargo has just read it");
    let versions: Vec<String> = LIBRARIES
        .iter()
        .filter_map(|name| Some(format!("{name} {}", version(&lock, name)?)))
        .collect();
    println!("cargo::rustc-env=PEERS_VERSIONS={}", versions.join(","));
}

fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(entry.split_once('"')?.0)
}
