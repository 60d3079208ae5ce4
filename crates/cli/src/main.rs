//! The `dx` program. All of it is in the library beside it.

use std::process::ExitCode;

/// Messages are allocated on one thread and freed on another, thousands at a time: the system's
/// allocator takes its slow path for most of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dx::run()
}
