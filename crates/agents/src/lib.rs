//! Distributed programs as agents: plain synchronous structs that get messages and timers, and
//! answer with effects. The same code runs on threads, between machines, and in a simulator.
//!
//! ```text
//! you write    Agent (and SharedState)      pure: no clock, socket, thread or randomness
//! kernel       Cell: one atomic step        the same under every driver
//! drivers      runtime · mesh · simulator   touch the world, with a journal below
//! ```
//!
//! What it is not: an async runtime, or a network without faults. What is lost is told.
//!
//! ```
//! # #[cfg(feature = "mesh")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::{sync::Arc, time::Duration};
//! # use dx_transport::{credentials::Credentials, mesh::MeshConfig, secret::ClusterSecret};
//! use dx_agents::mesh::{Node, NodeConfig};
//! use dx_agents::runtime::RuntimeConfig;
//! use dx_agents::{Agent, AgentId, Context, Directory, Incarnation, Message, NodeId, Registry};
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
//!     fn message(&mut self, _from: AgentId, message: Count, cx: &mut Context) {
//!         if let Count::Add(count) = message { self.total += count; }
//!         if let Some(to) = cx.asked() { cx.reply(to, Count::Total(self.total)); }
//!     }
//! }
//!
//! let registry = Registry::new().kind("counter", |_spec, _directory| Ok(Counter::default()));
//! let agents = serde_json::from_str::<Vec<_>>(r#"[{ "id": 1, "kind": "counter", "node": 1 }]"#)?;
//! let runtime = RuntimeConfig { directory: Arc::new(Directory::new(agents)), ..Default::default() };
//! # let secret = Some(ClusterSecret::generate()?);
//! # let credentials = Credentials { secret, ..Credentials::default() };
//! let node = |id, peers| {
//!     let mesh = MeshConfig::new("example".parse()?, NodeId(id), Incarnation(1), credentials.clone())
//!         .listen("tcp://127.0.0.1:0".parse()?); // between machines: tls or quic
//!     Ok::<_, Box<dyn std::error::Error>>(
//!         Node::start(NodeConfig { mesh, runtime: runtime.clone(), peers }, &registry)?)
//! };
//! let one = node(1, vec![(NodeId(2), vec![])])?; // node 2 will call
//! let two = node(2, vec![(NodeId(1), one.endpoints().to_vec())])?;
//!
//! let port = two.runtime().port(); // for code that is no agent
//! let answer = port.ask_blocking(AgentId(1), Count::Add(5), Duration::from_secs(5))?;
//! assert!(matches!(answer.open()?, Count::Total(5)));
//! # Ok(()) }
//! # #[cfg(not(feature = "mesh"))]
//! # fn main() {}
//! ```
//! Start with [`Agent`] and [`Context`]. [`runtime`] runs agents on threads, `mesh` between nodes;
//! to write a driver of your own, read [`cell`].

pub mod agent;
pub mod cell;
pub mod context;
pub mod directory;
pub mod effect;
pub mod erased;
pub mod event;
pub mod id;
pub mod journal;
pub mod lane;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod message;
pub mod registry;
pub mod remote;
pub mod rng;
pub mod runtime;
pub mod shared;
pub mod spawn;
pub mod spec;
mod sync;
pub mod text;

pub use dx_transport::id::{Incarnation, NodeId};
pub use dx_transport::time::Instant;

pub use agent::{Agent, Stopping};
pub use context::{Context, JournalState};
pub use directory::Directory;
pub use event::{Answer, AskError, Down, Outcome, Recovered, Refusal, RefusedBecause};
pub use id::{AgentId, AskId, JobId, ReplyTo, TimerKey};
pub use lane::Lane;
pub use message::Message;
pub use registry::Registry;
pub use shared::SharedState;
pub use spawn::Spawn;
pub use spec::{AgentSpec, AttrError, MailboxBounds, Options, Placement, Restart, WhenFull};
