//! `dx sim`: the same cluster files and kinds, simulated.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "sim/command.rs"]
mod command;
#[path = "sim/mistakes.rs"]
mod mistakes;
#[path = "sim/rules.rs"]
mod rules;
