//! Node meshes.
pub mod address;
pub mod credentials;
pub mod id;
#[cfg(feature = "identity")]
pub mod identity;
pub mod lane;
pub mod limits;
mod private_file;
pub mod secret;
pub mod session;
pub mod time;
#[cfg(feature = "mesh")]
pub mod transport;
