//! Clusters in the deterministic world: the real controller and runners, with shims that are
//! simulated, and what must hold there whatever goes wrong.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "it says what it took")]

#[path = "simulated/cases.rs"]
mod cases;
#[path = "simulated/chaos.rs"]
mod chaos;
#[path = "simulated/client.rs"]
mod client;
#[path = "simulated/graphs.rs"]
mod graphs;
#[path = "simulated/history.rs"]
mod history;
#[path = "simulated/parents.rs"]
mod parents;
#[path = "simulated/program.rs"]
mod program;
#[path = "simulated/shim.rs"]
mod shim;
#[path = "simulated/unheard.rs"]
mod unheard;
#[path = "simulated/world.rs"]
mod world;
