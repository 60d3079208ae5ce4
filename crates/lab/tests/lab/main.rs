//! The laboratory, tested by real sockets and real processes.
#![cfg(target_os = "linux")]

mod cables;
mod cleanup;
mod processes;
mod rate;
mod shaper;
mod sockets;
mod unprivileged;
