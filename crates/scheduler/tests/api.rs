//! The REST API over a controller and runners that say what a test wants.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "api/changes.rs"]
mod changes;
#[path = "api/document.rs"]
mod document;
#[path = "api/jobs.rs"]
mod jobs;
#[path = "api/logs.rs"]
mod logs;
#[path = "api/shell.rs"]
mod shell;
#[path = "api/strangers.rs"]
mod strangers;
#[path = "api/streams.rs"]
mod streams;
#[path = "api/world.rs"]
mod world;
