//! Commands about jobs, against a service that says what a test wants it to say.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "jobs/fake.rs"]
mod fake;

#[path = "jobs/running.rs"]
mod running;
