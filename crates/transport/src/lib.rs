//! Node meshes.
pub mod id;
pub mod lane;
pub mod limits;
pub mod session;
pub mod time;
#[cfg(feature = "mesh")]
pub mod transport;
