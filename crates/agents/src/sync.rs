//! What the lock-free pieces stand on: the standard library's primitives, or, in this crate's own
//! tests with the feature `loom`, models of them with which every interleaving is tried:
//!
//! ```text
//! cargo test -p dx-agents --lib --features loom interleavings
//! ```

#[cfg(not(all(test, feature = "loom")))]
pub use std::sync::{Mutex, atomic};

#[cfg(all(test, feature = "loom"))]
pub use loom::sync::{Mutex, atomic};

/// Tries the interleavings of `threads` in which at most three times a thread is stopped where it
/// could go on: nearly all bugs need no more, and all interleavings would take hours.
#[cfg(all(test, feature = "loom"))]
pub fn model(threads: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(threads);
}
