//! Node meshes.
pub mod batch;
pub mod buffer;
pub mod codec;
pub mod frame;
pub mod hello;
pub mod id;
pub mod lane;
pub mod limits;
pub mod outbox;
pub mod session;
pub mod time;
#[cfg(feature = "mesh")]
pub mod transport;
pub use batch::{Batch, Message};
