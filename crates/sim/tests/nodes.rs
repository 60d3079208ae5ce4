//! Nodes that crash, stand still and lose what they had not synced.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "nodes/clocks.rs"]
mod clocks;
#[path = "nodes/crashes.rs"]
mod crashes;
#[path = "nodes/ledger.rs"]
mod ledger;
#[path = "nodes/offloading.rs"]
mod offloading;
