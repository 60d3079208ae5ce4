//! A job service: jobs that run and tell the truth.
//!
//! ```text
//! client ---- Asked/Answered ----> Controller      which task runs where: a pure core, journaled
//!                                    |  ToRunner / ToController
//!                                  Runner          what of it starts now: one agent per node
//!                                    |  Call / Told
//!                                  Processor       runs it: the shim, one small process per node
//! ```
//!
//! What it is not: a way around a dead machine's last words. An attempt whose node is silent past
//! its lease is *lost*: nobody knows how it ended, and nobody says so.
//!
//! *Invariant:* an attempt that has ended never changes. *Invariant:* of a task, one attempt runs at
//! a time: the next is numbered when the one before is known to have ended, or its lease is over.
//! *Invariant:* what was answered or dispatched is in the journal.
//!
//! What decides is the [`core`], which knows neither clock nor network:
//!
//! ```
//! use dx_scheduler::client::{Answer, JobState, Request};
//! use dx_scheduler::core::{Config, Core};
//! use dx_scheduler::id::JobId;
//!
//! let (now, seed) = (1_700_000_000_000, 7);
//! let mut core = Core::new(Config::default());
//! core.begin(now, seed);
//! let spec = serde_json::from_str(r#"{"commands": [{"exec": ["echo", "hello"]}]}"#)?;
//! let submit = Request::Submit { spec: Box::new(spec), by: "ann".to_owned(), dry_run: false };
//! assert!(matches!(core.request(submit), Answer::Submitted { job: JobId(1), .. }));
//! let journaled = core.finish().batch;
//! assert!(journaled.is_some(), "who submitted it is told when this is on the disk");
//! let Answer::Job(job) = core.request(Request::Job(JobId(1))) else { unreachable!() };
//! assert_eq!(job.state, JobState::Waiting);
//! # Ok::<_, serde_json::Error>(())
//! ```
//!
//! A whole service in one program, with its own shim, is the example `embedded`.

#[cfg(feature = "api")]
pub mod api;
pub mod client;
pub mod controller;
pub mod core;
pub mod end;
pub mod id;
pub mod job;
pub mod link;
pub mod message;
pub mod processor;
pub mod runner;
#[expect(
    clippy::disallowed_methods,
    reason = "it is an edge: it reads clocks, and waits for the kernel"
)]
pub mod shim;

use dx_agents::{AgentId, NodeId};

/// The agent that is the controller of a node with this role.
#[must_use]
pub fn controller_of(node: NodeId) -> AgentId {
    AgentId::dynamic(node, 3)
}

/// The agent that is the runner of a node with this role.
#[must_use]
pub fn runner_of(node: NodeId) -> AgentId {
    AgentId::dynamic(node, 4)
}

/// The agent, or port, that speaks for the processor of a runner's node.
#[must_use]
pub fn processor_of(node: NodeId) -> AgentId {
    AgentId::dynamic(node, 5)
}
