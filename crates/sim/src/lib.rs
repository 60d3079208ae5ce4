//! The deterministic world: the same agents, on virtual time, one thread, and a network and disks
//! that fail on purpose. The same seed is the same run.

pub mod campaign;
pub mod choices;
pub mod config;
pub mod control;
pub mod delay;
pub mod disk;
mod failure;
mod journaling;
mod mailbox;
mod network;
mod node;
mod number;
pub mod plan;
pub mod port;
mod resident;
mod schedule;
mod sim;
mod slab;
mod stage;
pub mod trace;

pub use campaign::{Report, Scenario};
pub use choices::Choices;
pub use config::{Machine, Network, SimConfig};
pub use delay::Delay;
pub use failure::{Failure, SEED_VARIABLE};
pub use network::{CreditWait, Tally};
pub use node::CrashPoint;
pub use plan::{FaultKind, FaultPlan};
pub use port::{Heard, Port};
pub use sim::{NewSimError, Sim};
