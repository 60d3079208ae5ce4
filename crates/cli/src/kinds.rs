//! The kinds of agents that this program knows by itself.
//!
//! - [`echo`]: prints what it is sent, and answers what it is asked.
//! - [`ping`]: greets another agent again and again, and measures the way there and back.
//! - [`ring_member`]: broadcasts numbers to a ring, and tells what all of them came to.

pub mod echo;
pub(crate) mod heard;
pub(crate) mod job_agents;
pub mod ping;
pub mod ring_member;
mod round_trips;
mod text;

pub use text::Text;

use crate::config::Kinds;
use crate::program::Program;

/// What a cluster file may ask of these kinds.
#[must_use]
pub fn kinds() -> Kinds {
    Program::new().kinds().clone()
}
