//! The world as its agents see it: the same as on threads, and the same for the same seed.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "world/asking.rs"]
mod asking;
#[path = "world/determinism.rs"]
mod determinism;
#[path = "world/kinds.rs"]
mod kinds;
#[path = "world/mailboxes.rs"]
mod mailboxes;
#[path = "world/mistakes.rs"]
mod mistakes;
#[path = "world/parity.rs"]
mod parity;
#[path = "world/supervision.rs"]
mod supervision;
