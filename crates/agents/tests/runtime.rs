//! Agents on real threads: every promise of the runtime, and every bound.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "runtime/actors.rs"]
mod actors;
#[path = "runtime/asks.rs"]
mod asks;
#[path = "runtime/delivery.rs"]
mod delivery;
#[path = "runtime/ends.rs"]
mod ends;
#[path = "runtime/floods.rs"]
mod floods;
#[path = "runtime/lives.rs"]
mod lives;
#[path = "runtime/monitors.rs"]
mod monitors;
#[path = "runtime/next.rs"]
mod next;
#[path = "runtime/places.rs"]
mod places;
#[path = "runtime/ports.rs"]
mod ports;
#[path = "runtime/recording.rs"]
mod recording;
#[path = "runtime/stages.rs"]
mod stages;
