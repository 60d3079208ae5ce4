//! Node meshes.
pub mod address;
pub mod batch;
pub mod buffer;
pub mod codec;
pub mod credentials;
pub mod frame;
pub mod handshake;
pub mod hello;
pub mod id;
#[cfg(feature = "identity")]
pub mod identity;
pub mod lane;
pub mod limits;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod outbox;
mod private_file;
mod proof;
pub mod secret;
pub mod session;
pub mod time;
#[cfg(feature = "mesh")]
pub mod transport;
pub use batch::{Batch, Message};
pub use proof::PeerProof;
