//! A cluster at work: from a [`config::Cluster`](crate::config::Cluster) to nodes that run.
//!
//! ```text
//! config::Cluster --> Node::start        one node, in this process
//!                 --> Up                 those of this machine, as processes that are watched
//! ```
//!
//! A [`Node`] is its folder, a mesh, agents, and a control socket. What it knows of itself it
//! tells anybody who asks there or, over the mesh, on another node. [`up`] starts a node as a
//! process of its own and hears of it by its control socket and its log only, so it can find it
//! again when it was killed itself.

mod interfaces;
pub mod node;
pub mod report;
pub mod up;

pub use node::{Ended, Node, StartError};
pub use report::{AgentPing, ClusterReport, NodeReport, Silent};
