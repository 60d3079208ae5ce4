//! Agents that lie and agents that run twice: within a budget, and seen by those who look.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "byzantine/broadcast.rs"]
mod broadcast;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;
#[path = "byzantine/lies.rs"]
mod lies;
#[path = "byzantine/twins.rs"]
mod twins;
