//! The kernel, step by step: no thread, no clock.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "kernel/answers.rs"]
mod answers;
#[path = "kernel/desk.rs"]
mod desk;
#[path = "kernel/durability.rs"]
mod durability;
#[path = "kernel/inputs.rs"]
mod inputs;
#[path = "kernel/messages.rs"]
mod messages;
#[path = "kernel/steps.rs"]
mod steps;
#[path = "kernel/timers.rs"]
mod timers;
