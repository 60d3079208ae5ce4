//! What judges a run, against models, published examples and other implementations.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "oracles/coverage.rs"]
mod coverage;
#[path = "oracles/explained.rs"]
mod explained;
#[path = "oracles/explore.rs"]
mod explore;
#[path = "oracles/linear.rs"]
mod linear;
#[path = "oracles/published.rs"]
mod published;
#[path = "oracles/shrink.rs"]
mod shrink;
#[path = "oracles/tape.rs"]
mod tape;
