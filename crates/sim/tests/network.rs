//! The network: sessions deliver all in order while they live, and every exception is told.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::time::Duration;

use dx_sim::SimConfig;

#[path = "network/bandwidth.rs"]
mod bandwidth;
#[path = "network/datagrams.rs"]
mod datagrams;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;
#[path = "network/links.rs"]
mod links;
#[path = "network/sessions.rs"]
mod sessions;

/// The time after which both ends know of a link that is dead in one direction, 2 s after it died.
const TOLD: Duration = Duration::from_secs(2);

/// The time in which nodes have a session again after one was lost.
const MEET_AGAIN: Duration = Duration::from_secs(1);

/// Whether agents hear of a session that ends for want of a link before there is the next one.
const IS_EXPIRY_TOLD: bool = true;

/// The configuration that these tests begin with.
fn seeded(seed: u64) -> SimConfig {
    SimConfig::seeded(seed)
}
