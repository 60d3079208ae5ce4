//! Clusters of real processes, as somebody at a terminal meets them.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "up/terminal.rs"]
#[allow(dead_code, reason = "it is another test's, too")]
mod terminal;

#[path = "up/ends.rs"]
mod ends;
#[path = "up/jobs.rs"]
mod jobs;
#[path = "up/joining.rs"]
mod joining;
#[path = "up/mistakes.rs"]
mod mistakes;
#[path = "up/starts.rs"]
mod starts;
#[path = "up/status.rs"]
mod status;
