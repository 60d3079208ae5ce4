//! A cluster file, simulated: the same agents, in a world that breaks things on purpose.
//!
//! ```text
//! Setup (cluster, faults, times) --seed--> Sim with consoles --> faults --> healed --> judged
//!    ^                                                                            |
//!    +------------------------- Kept: a failing seed as a file <------------------+
//! ```
//! A run has two phases. While things break, what must always hold is looked at after every event;
//! then all is mended, and progress is demanded. Who judges: a few rules for every cluster
//! ([`judge`]), and those that kinds bring along ([`Rules`]).

pub mod console;
pub mod faults;
pub mod judge;
pub mod kept;
mod rules;
pub mod setup;
mod smaller;

pub use console::Console;
pub use faults::Faults;
pub use kept::Kept;
pub use rules::Rules;
pub use setup::{Fidelity, Setup, World};
pub use smaller::Smaller;
