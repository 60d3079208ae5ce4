//! Who is who: agents, and the numbers by which one agent tells its own timers, asks and jobs
//! apart.

use std::fmt;
use std::num::NonZeroU64;

use dx_transport::id::NodeId;
use serde::{Deserialize, Serialize};

/// An agent of the cluster. It is also the agent's address: plain data that can be stored, sent
/// and compared.
///
/// Ids below 2^32 are those of the cluster file. Agents spawned at run time carry the node that
/// spawned them in the upper half, and are never used twice within an incarnation of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct AgentId(pub u64);

/// Counts below it are never given to agents that a node spawns: they are for ports and agents that
/// others must find without being told of them, such as those of a program's own services.
pub const WELL_KNOWN: u32 = 256;

impl AgentId {
    /// The `count`th agent that `node` spawns at run time.
    #[must_use]
    pub fn dynamic(node: NodeId, count: u32) -> Self {
        Self(u64::from(node.0) << 32 | u64::from(count))
    }

    /// The node that spawned it, if it is not from the cluster file.
    #[must_use]
    pub fn spawned_by(self) -> Option<NodeId> {
        let node = (self.0 >> 32) as u32;
        (node != 0).then_some(NodeId(node))
    }

    /// Whether it is the same agent in every life of its node, and so can be given what it
    /// persisted in an earlier one: it is from the cluster file, or well known.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        self.spawned_by().is_none() || (self.0 as u32) < WELL_KNOWN
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spawned_by() {
            None => write!(f, "a{}", self.0),
            Some(node) => write!(f, "a{}.{}", node.0, self.0 as u32),
        }
    }
}

/// One of an agent's timers. Chosen by the agent: setting a timer replaces the one of equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(pub u64);

/// A question that an agent asked, as it was given out by [`Context::ask`](crate::Context::ask).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AskId(pub NonZeroU64);

/// Work that an agent handed to its [`SharedState`](crate::SharedState).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Where an answer goes. Plain data: it can be kept for later, or forwarded with the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplyTo {
    /// Who asked.
    pub agent: AgentId,
    /// Which of its questions.
    pub ask: AskId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_know_by_its_number_lasts_and_what_is_spawned_does_not() {
        let node = NodeId(7);
        let lasting = [AgentId(7), AgentId::dynamic(node, 3), AgentId::dynamic(node, 255)];
        assert!(lasting.into_iter().all(AgentId::is_lasting));
        assert!(!AgentId::dynamic(node, WELL_KNOWN).is_lasting());
    }
}
