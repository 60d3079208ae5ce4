//! Commands about jobs, against a service that says what a test wants it to say.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "jobs/fake.rs"]
mod fake;

#[path = "jobs/completing.rs"]
mod completing;
#[path = "jobs/exits.rs"]
mod exits;
#[path = "jobs/files.rs"]
mod files;
#[path = "jobs/queries.rs"]
mod queries;
#[path = "jobs/running.rs"]
mod running;
#[path = "jobs/seeing.rs"]
mod seeing;
#[path = "jobs/steering.rs"]
mod steering;
#[path = "jobs/submitting.rs"]
mod submitting;
