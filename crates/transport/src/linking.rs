//! The rules by which two nodes come to one link, whoever drives them: when to dial, and which of
//! two links stays. Pure: time, and what is left to chance, are arguments.
//!
//! [`Dialer`] says when to dial which address. Whatever comes of it, or is dialed by the peer, is
//! judged by [`decide`]. Both ends come to the same answer without asking each other.

mod arbiter;
mod backoff;
mod dialer;
mod dialing;

pub use self::arbiter::{CROSSING, Decision, DialedBy, Situation, Verdict, arbitrate, decide};
pub use self::dialer::{Dialer, Outcome};
pub use self::dialing::Dialing;
