//! Runs of a ring with real processes, as somebody at a terminal meets them.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "up/terminal.rs"]
#[allow(dead_code, reason = "it is another test's, too")]
mod terminal;

#[path = "ring/agreement.rs"]
mod agreement;
#[path = "ring/cables.rs"]
mod cables;
#[path = "ring/cluster_file.rs"]
mod cluster_file;
#[path = "ring/deaths.rs"]
mod deaths;
#[path = "ring/elsewhere.rs"]
mod elsewhere;
#[path = "ring/mistakes.rs"]
mod mistakes;
#[path = "ring/models.rs"]
mod models;
#[path = "ring/results.rs"]
mod results;
#[path = "ring/slaves.rs"]
mod slaves;
