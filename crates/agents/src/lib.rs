//! Distributed programs as agents.

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
pub mod rng;
pub mod runtime;
pub mod shared;
pub mod spawn;
pub mod spec;

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
