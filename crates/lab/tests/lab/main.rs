//! The laboratory, tested by real sockets and real processes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod cables;
mod cleanup;
mod processes;
mod rate;
mod shaper;
mod sockets;
mod unprivileged;
