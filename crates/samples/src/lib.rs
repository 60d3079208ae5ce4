//! Small distributed systems, each right and with bugs that can be switched on: what the simulator
//! is worth is how soon it finds them, and that it finds nothing in those that are right.
//!
//! ```text
//! Sample    agents, what must hold of them, and the bugs that can be planted
//!   Search  where the faults come from: a mix for each seed, all kinds at one rate, or tried out
//!     Found seeds and events up to the failure, and the rule that it breaks
//! ```
//!
//! What they are not: implementations to be used. Each fits on two or three pages and has one idea.
//! The bugs are those that studies and reports of real systems tell of, and each is one line.
//!
//! Start with [`Sample`], and read [`register`] as an example.

pub mod clients;
pub mod commit;
pub mod compare;
pub mod counter;
pub mod election;
pub mod journal;
pub mod lock;
pub mod register;
pub mod rpc;
pub mod sample;
pub mod search;
pub mod short;
pub mod token;

pub use sample::{Planted, Sample};
pub use search::Search;
pub use short::{Short, Trouble};

/// All samples.
pub const SAMPLES: [&Sample; 7] = [
    &counter::SAMPLE,
    &rpc::SAMPLE,
    &lock::SAMPLE,
    &token::SAMPLE,
    &register::SAMPLE,
    &commit::SAMPLE,
    &election::SAMPLE,
];
