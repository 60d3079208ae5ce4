//! The shim, as a process of its own that runs real processes. Each file is about one promise.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test panics where it fails")]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

#[path = "shim/rig.rs"]
mod rig;

#[path = "shim/runs.rs"]
mod runs;

#[path = "shim/follows.rs"]
mod follows;

#[path = "shim/kills.rs"]
mod kills;

#[path = "shim/prints.rs"]
mod prints;

#[path = "shim/lives.rs"]
mod lives;

#[path = "shim/scarce.rs"]
mod scarce;

#[path = "shim/talks.rs"]
mod talks;

#[path = "shim/links.rs"]
mod links;
