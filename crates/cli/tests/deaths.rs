//! Jobs whose controller, runners and shims are killed, stopped and starved: with real processes,
//! judged by what tasks do, not by what is said of them.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stderr, reason = "a run that fails is found again by its seed")]

#[path = "up/terminal.rs"]
#[allow(dead_code, reason = "it is another test's, too")]
mod terminal;
#[path = "api/world.rs"]
#[allow(dead_code, reason = "it is another test's, too")]
mod world;

#[path = "deaths/benches.rs"]
mod benches;
#[path = "deaths/bounds.rs"]
mod bounds;
#[path = "deaths/cables.rs"]
mod cables;
#[path = "deaths/graphs.rs"]
mod graphs;
#[path = "deaths/kills.rs"]
mod kills;
#[path = "deaths/place.rs"]
mod place;
#[path = "deaths/processes.rs"]
mod processes;
#[path = "deaths/small_disk.rs"]
mod small_disk;
#[path = "deaths/stops.rs"]
mod stops;
#[path = "deaths/strays.rs"]
mod strays;
#[path = "deaths/waits.rs"]
mod waits;
#[path = "deaths/witness.rs"]
mod witness;
