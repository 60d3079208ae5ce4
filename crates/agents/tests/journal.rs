//! The journal: what was acknowledged survives, whatever happens between any two steps.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

mod journal {
    mod committer;
    mod corruption;
    mod crash;
    mod full;
    mod golden;
    mod history;
    mod kill;
    mod log;
    mod model;
    mod trace;
}
