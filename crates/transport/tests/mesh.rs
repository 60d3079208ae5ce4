//! Meshes of a few nodes within one process.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![cfg(all(feature = "tcp", feature = "tls", feature = "quic"))]

#[path = "mesh/fragile.rs"]
mod fragile;
#[path = "mesh/nodes.rs"]
mod nodes;

#[path = "mesh/delivery.rs"]
mod delivery;
#[path = "mesh/leaving.rs"]
mod leaving;
#[path = "mesh/lives.rs"]
mod lives;
#[path = "mesh/meeting.rs"]
mod meeting;
#[path = "mesh/pressure.rs"]
mod pressure;
#[path = "mesh/strangers.rs"]
mod strangers;
