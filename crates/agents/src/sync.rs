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
