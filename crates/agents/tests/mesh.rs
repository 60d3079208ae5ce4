//! Agents of different nodes, over real meshes in one process.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "mesh/at_once.rs"]
mod at_once;
#[path = "../../transport/tests/mesh/fragile.rs"]
mod fragile;
#[path = "mesh/hostile.rs"]
mod hostile;
#[path = "mesh/kinds.rs"]
mod kinds;
#[path = "mesh/leaving.rs"]
mod leaving;
#[path = "mesh/lives.rs"]
mod lives;
#[path = "mesh/moving.rs"]
mod moving;
#[path = "mesh/nodes.rs"]
mod nodes;
#[path = "mesh/pressure.rs"]
mod pressure;
#[path = "mesh/talking.rs"]
mod talking;
