//! The network: sessions deliver all in order while they live, and every exception is told.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use dx_sim::SimConfig;

#[path = "network/datagrams.rs"]
mod datagrams;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;
#[path = "network/links.rs"]
mod links;
#[path = "network/sessions.rs"]
mod sessions;

/// The configuration that these tests begin with.
fn seeded(seed: u64) -> SimConfig {
    SimConfig::seeded(seed)
}
