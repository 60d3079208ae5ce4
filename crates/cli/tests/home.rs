//! A machine's home: many processes, full disks, clocks and typos.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "home/certificates.rs"]
mod certificates;
#[path = "home/disk.rs"]
mod disk;
#[path = "home/processes.rs"]
mod processes;

use std::path::Path;

use dx::home::{Cluster, Home, Node};

/// The cluster `local` in a home at `root`.
fn cluster(root: &Path) -> Cluster {
    Home::at(root).open_or_create(&"local".parse().unwrap()).unwrap()
}

fn node(root: &Path, name: &str) -> Node {
    cluster(root).node(&name.parse().unwrap())
}
