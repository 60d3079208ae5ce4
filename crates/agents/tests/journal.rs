//! The journal: what was acknowledged survives, whatever happens between any two steps.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod journal {
    mod corruption;
    mod crash;
    mod history;
    mod log;
    mod model;
}
