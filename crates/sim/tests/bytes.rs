//! The network made of bytes: what holds of modelled sessions holds of real ones, and more is shown
//! to go wrong below.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::time::Duration;

use dx_sim::{Fidelity, Network, SimConfig};
use dx_transport::linking::Dialing;

#[path = "faults/contract.rs"]
mod contract;
#[path = "world/kinds.rs"]
#[allow(dead_code, reason = "not every test of these agents needs all of them")]
mod kinds;
#[path = "network/links.rs"]
mod links;
#[path = "network/pipes.rs"]
mod pipes;
#[path = "network/sessions.rs"]
mod sessions;

/// The time after which both ends know of a link that is dead in one direction, 2 s after it died:
/// one by silence, and the other since it hears of that and then finds no way back.
const TOLD: Duration = Duration::from_secs(6);

/// The time in which nodes have a session again after one was lost.
const MEET_AGAIN: Duration = Duration::from_secs(10);

/// Whether agents hear of a session that ends for want of a link before there is the next one. The
/// mesh says only then that one is over in which nothing was lost.
const IS_EXPIRY_TOLD: bool = false;

/// Seeds of the contract that are tried: a run takes several times as long as a modelled one.
const SEEDS: u64 = 40;

/// The configuration that these tests begin with: real sessions, and nodes that dial again as soon
/// as the modelled ones find each other.
fn seeded(seed: u64) -> SimConfig {
    let dialing = Dialing { backoff_max: Duration::from_millis(500), ..Dialing::default() };
    let network = Network { fidelity: Fidelity::Bytes, dialing, ..Network::default() };
    SimConfig { network, ..SimConfig::seeded(seed) }
}
