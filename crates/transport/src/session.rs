//! The session.
mod send_queue;
pub use send_queue::SendQueue;
