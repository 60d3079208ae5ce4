//! A run: members broadcast random numbers for a while, and must all end with the same tuple.
//!
//! ```text
//! START ──SEND──▶ all send ──GRACE──▶ all say FIN ──STOP──▶ the result is told
//! ```
//! Commands are messages like others, so all members take them at the same place of the order. The
//! first member of the view in effect gives the next one when it is time; should it die, the one
//! that is first then goes on. What comes twice counts once.
//!
//! The result ends at the first place where every member of the view in effect has said FIN: no
//! clock decides what is in it.

mod command;
mod naive;
mod runner;
mod tally;

use std::time::Duration;

pub use self::command::Command;
pub use self::naive::NaiveMember;
pub use self::runner::{Runner, Stage};
pub use self::tally::Tally;

/// What a run is to be like. The same for all members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the random numbers are drawn from.
    pub seed: u64,
    /// How long members send, unless a number is given.
    pub send_for: Duration,
    /// The time between GRACE and STOP.
    pub grace_for: Duration,
    /// How many messages each sender sends; the run goes on to GRACE when all have.
    pub messages: Option<u64>,
    /// Bytes of a message, at least [`Command::MIN_DATA`].
    pub size: usize,
    /// So many members send: those with the lowest ids.
    pub senders: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 0,
            send_for: Duration::from_secs(2),
            grace_for: Duration::from_secs(1),
            messages: None,
            size: 64,
            senders: usize::MAX,
        }
    }
}
