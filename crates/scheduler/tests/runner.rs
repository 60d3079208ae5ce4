//! The runner by hand: what it hears, and what it says to whom.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "runner/ahead.rs"]
mod ahead;
#[path = "runner/desk.rs"]
mod desk;
#[path = "runner/joining.rs"]
mod joining;
#[path = "runner/reading.rs"]
mod reading;
#[path = "runner/waiting.rs"]
mod waiting;
#[path = "runner/working.rs"]
mod working;
