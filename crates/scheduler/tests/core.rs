//! The core by itself: what it makes of messages, requests and time.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "core/desk.rs"]
mod desk;
#[path = "core/faults.rs"]
mod faults;
#[path = "core/model.rs"]
mod model;
#[path = "core/node.rs"]
mod node;
#[path = "core/random.rs"]
mod random;
#[path = "core/rules.rs"]
mod rules;
#[path = "core/world.rs"]
mod world;
