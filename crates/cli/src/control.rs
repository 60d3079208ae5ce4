//! A node's control socket: HTTP with JSON over a unix socket, for the local user.
//!
//! ```text
//! Client --- NODE/control.sock --- Socket --- Router          get, post        serve
//! ```
//!
//! A node merges the routes of its parts into the [`router`] of this module, binds a [`Socket`]
//! and serves them. Every answer that is no success has a [`Failure`] as its body. Only the user
//! who runs the node, and root, get an answer.
//!
//! *Invariant:* what a client does or does not do holds one of a bounded number of places for a
//! bounded time; only a handler's own work is not timed.

mod about;
mod client;
mod failure;
mod listener;
mod served;

pub use about::{About, router};
pub use client::{CallError, Client, Unreachable};
pub use failure::Failure;
pub use listener::{BindError, Socket};
pub use served::Limits;
