//! A node's control socket: HTTP with JSON over a unix socket, for the local user.
//!
//! ```text
//! Client --- NODE/control.sock --- Socket ---+--- Router          get, post        serve
//! others --- TCP, TLS --- tokens --- Gateway-+
//! ```
//!
//! A node merges the routes of its parts into the [`router`] of this module, binds a [`Socket`]
//! and serves them. Every answer that is no success has a [`Failure`] as its body. Only the user
//! who runs the node, and root, get an answer; by a [`Gateway`], whoever has a token.
//!
//! *Invariant:* a client that sends too slowly, or reads nothing, loses its place, of which there
//! is a bounded number; only a handler's own work is not timed.

mod about;
mod client;
mod door;
mod gateway;
mod listener;
mod served;
mod streamed;
mod user;
mod whole_body;

pub use about::{About, router};
pub use client::{CallError, Client, Unreachable};
pub use dx_scheduler::api::Failure;
pub use gateway::{Gateway, OpenError};
pub use listener::{BindError, Socket};
pub use served::Limits;
pub use streamed::Streamed;
