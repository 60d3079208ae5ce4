//! The core by itself: what it makes of messages, requests and time.

#[path = "core/desk.rs"]
mod desk;
#[path = "core/faults.rs"]
mod faults;
#[path = "core/random.rs"]
mod random;
#[path = "core/rules.rs"]
mod rules;
#[path = "core/world.rs"]
mod world;
