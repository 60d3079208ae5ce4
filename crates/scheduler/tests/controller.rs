//! The controller as an agent, in a simulated world with runners that obey.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "controller/obedient.rs"]
mod obedient;
#[path = "controller/served.rs"]
mod served;
#[path = "controller/waiting.rs"]
mod waiting;
