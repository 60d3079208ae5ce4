//! Campaigns: many seeds on several threads, what they report, and the gate for determinism.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "campaigns/dice.rs"]
mod dice;
#[path = "campaigns/files.rs"]
mod files;
#[path = "campaigns/gate.rs"]
mod gate;
#[path = "campaigns/reports.rs"]
mod reports;
#[path = "campaigns/shorter.rs"]
mod shorter;
#[path = "campaigns/smaller.rs"]
mod smaller;
