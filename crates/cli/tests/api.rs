//! The job API of real nodes with real tasks, asked by curl.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "up/terminal.rs"]
#[allow(dead_code, reason = "it is another test's, too")]
mod terminal;

#[path = "api/asking.rs"]
mod asking;
#[path = "api/beyond.rs"]
mod beyond;
#[path = "api/clients.rs"]
mod clients;
#[path = "api/leaving.rs"]
mod leaving;
#[path = "api/logs.rs"]
mod logs;
#[path = "api/strangers.rs"]
mod strangers;
#[path = "api/walkthrough.rs"]
mod walkthrough;
#[path = "api/world.rs"]
mod world;
