//! Plans of faults: each kind happens, and what sessions promise holds under all of them.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "faults/contract.rs"]
mod contract;
#[path = "faults/control.rs"]
mod control;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;

use dx_sim::SimConfig;

/// Seeds of the contract that are tried.
const SEEDS: u64 = 120;

/// The configuration that these tests begin with.
fn seeded(seed: u64) -> SimConfig {
    SimConfig::seeded(seed)
}
