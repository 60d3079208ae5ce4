//! Agents of different nodes, over real meshes in one process.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "mesh/kinds.rs"]
mod kinds;
#[path = "mesh/nodes.rs"]
mod nodes;
#[path = "mesh/talking.rs"]
mod talking;
