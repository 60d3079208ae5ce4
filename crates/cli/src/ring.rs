//! Runs of a ring with real processes.
//!
//! ```text
//! Wanted ──▶ Cluster ──▶ Up: a process per member, watched, killed, started again
//!                          └─ Watch: asks each member for its result ──▶ Outcome
//! ```
//! The members need nobody but each other. Whoever started them may be killed: its successor finds
//! them, and asks them for the result.

pub mod accident;
mod folder;
mod outcome;
pub mod ports;
pub mod slaves;
mod wanted;
mod watch;

pub use self::accident::{Kill, WrongAccident};
pub use self::folder::{Folder, FolderError, Run};
pub use self::outcome::{Fate, Outcome, Verdict};
pub use self::ports::NoPorts;
pub use self::wanted::Wanted;
pub use self::watch::{Trouble, Watch};
