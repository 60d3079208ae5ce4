//! What gets nowhere is found and said, and what is only slow is not called so.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "stuck/deadlock.rs"]
mod deadlock;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;
#[path = "stuck/livelock.rs"]
mod livelock;
#[path = "stuck/starvation.rs"]
mod starvation;
