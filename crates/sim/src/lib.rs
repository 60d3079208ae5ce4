//! The deterministic world: the same agents, on virtual time, one thread, and a network and disks
//! that fail on purpose. The same seed is the same run.
//!
//! ```text
//! Scenario     many seeds, until one fails; then its tape, to see it again
//!   FaultPlan  a mix of faults for each seed: swarm, then heal and demand progress
//!     Sim      events in the order of time; at one instant, in an order that is drawn
//!       nodes, network, disks        models that break as the real ones do
//!       Cell, Journal, credits       the very code that runs on threads and machines
//! ```
//!
//! What it is not: a model of the agents' runtime that could be right where that is wrong. The
//! network comes in two fidelities: the promises of a session, modelled and fast, or with
//! [`Fidelity::Bytes`] the real sessions, over connections that tear at any byte.
//!
//! ```
//! use std::time::Duration;
//! use dx_agents::{Agent, AgentId, Context, Directory, Message, Registry};
//! use dx_sim::{Choices, Failure, Scenario, Sim, SimConfig};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! enum Count { Add(u64), Total(u64) }
//! impl Message for Count { const NAME: &'static str = "count"; }
//!
//! #[derive(Default)]
//! struct Counter { total: u64 }
//! impl Agent for Counter {
//!     type Message = Count;
//!     fn start(&mut self, cx: &mut Context) { self.total = cx.recovered().records.len() as u64; }
//!     fn message(&mut self, from: AgentId, _: Count, cx: &mut Context) {
//!         self.total += 1;
//!         cx.persist(&b"one"[..]); // without it, a crash is found that makes it forget
//!         cx.send(from, Count::Total(self.total));
//!     }
//! }
//!
//! let make = |seed, choices: Choices| {
//!     let agents = r#"[{ "id": 1, "kind": "counter", "node": 1 }]"#;
//!     let agents = serde_json::from_str::<Vec<_>>(agents).expect("it is a cluster's agents");
//!     let registry = Registry::new().kind("counter", |_, _| Ok(Counter::default()));
//!     let config = SimConfig::seeded(seed);
//!     Sim::with_choices(config, Directory::new(agents), registry, choices).expect("it is known")
//! };
//! let play = |sim: &mut Sim| -> Result<(), Failure> {
//!     let port = sim.port();
//!     sim.send(port, AgentId(1), Count::Add(1)).expect("there is room");
//!     sim.torment(Duration::from_secs(1), 1)?; // at most one node down at a time
//!     let answered = sim.heard(port).is_some();
//!     sim.run_until("what was answered is counted", Duration::from_mins(2), |sim| {
//!         !answered || sim.agent(AgentId(1)).is_some_and(|it: &Counter| it.total == 1)
//!     })
//! };
//! Scenario { make, play }.must_hold(0..20); // in a test: panics with a diagram of what failed
//! ```
//!
//! A run fails where an agent panics, unless it [may](Sim::allow_panics): what agents assert is judged
//! as well. [`Scenario::campaign`] tries seeds on many threads, [`Scenario::shrink`] makes a failure smaller,
//! [`Scenario::search`] and [`Order::Priorities`] look for orders that break it.
//! What failed is drawn as a sequence diagram by [`Scenario::explain`], and made a test by
//! [`explain::test_source`]. The tutorial is docs/tutorial-simulator.md of the repository.
//!
//! Start with [`Sim`] and [`Scenario`]; [`FaultKind`] lists what can go wrong, [`byzantine`] and
//! [`twins`] what agents can do that they should not, [`stuck`] what is said of a run that gets
//! nowhere, [`control`] how a test takes each step itself; [`Choices`] explains how a run is recorded
//! and replayed.

pub mod byzantine;
pub mod campaign;
pub mod choices;
pub mod config;
pub mod control;
pub mod coverage;
pub mod delay;
mod disk;
pub mod explain;
pub mod explore;
mod failure;
pub mod history;
mod journaling;
pub mod linear;
mod mailbox;
mod network;
mod node;
mod number;
mod order;
pub mod plan;
pub mod port;
pub mod progress;
mod resident;
mod schedule;
pub mod shrink;
mod sim;
mod slab;
mod stage;
pub mod story;
pub mod stuck;
pub mod tape;
pub mod trace;
pub mod twins;
pub mod waits;

pub use byzantine::{Behaviour, Byzantine, ByzantineError, Lie};
pub use campaign::{
    Again, Campaign, Effort, Order, Replayed, Report, Scenario, Searched, Shrinking, Smaller,
    Systematic, Undetermined,
};
pub use choices::{Choices, Priorities};
pub use config::{Fidelity, Machine, Network, SimConfig};
pub use coverage::Coverage;
pub use delay::Delay;
pub use disk::Damage;
pub use explain::Explanation;
pub use failure::{Failure, OUT_OF_EVENTS, PANIC, SEED_VARIABLE};
pub use network::{CreditWait, PipeTally, Pipes, Tally};
pub use node::CrashPoint;
pub use plan::{FaultKind, FaultPlan};
pub use port::{Heard, Port};
pub use sim::{NewSimError, Sim};
pub use stuck::{Patience, Stuck};
pub use twins::Hears;
