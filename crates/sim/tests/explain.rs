//! Diagrams of failures: what is in them, and how they look.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "explain/drawn.rs"]
mod drawn;
#[path = "stored/golden.rs"]
mod golden;
#[path = "explain/keeper.rs"]
mod keeper;
#[path = "explain/told.rs"]
mod told;
