//! Which messages are meant.

use dx_agents::{AgentId, Lane, NodeId};

/// Some of the messages between nodes: [all](Self::all), and of those only what every further call
/// allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    link: Option<[NodeId; 2]>,
    from: Option<AgentId>,
    to: Option<AgentId>,
    kind: Option<String>,
    lane: Option<Lane>,
}

impl Which {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those from one node to another.
    #[must_use]
    pub fn link(mut self, from: NodeId, to: NodeId) -> Self {
        self.link = Some([from, to]);
        self
    }

    /// Those that an agent sends.
    #[must_use]
    pub fn from(mut self, agent: AgentId) -> Self {
        self.from = Some(agent);
        self
    }

    /// Those for an agent.
    #[must_use]
    pub fn to(mut self, agent: AgentId) -> Self {
        self.to = Some(agent);
        self
    }

    /// Those for agents of the deployment of a kind.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Those in a lane.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Whether a message is one of them. All that counts is the same for all messages whose order
    /// counts, so that holding some lets none overtake another.
    pub(super) fn covers(
        &self,
        nodes: [NodeId; 2],
        [from, to]: [AgentId; 2],
        kind: Option<&str>,
        lane: Lane,
    ) -> bool {
        self.link.is_none_or(|link| link == nodes)
            && self.from.is_none_or(|it| it == from)
            && self.to.is_none_or(|it| it == to)
            && self.kind.as_deref().is_none_or(|it| Some(it) == kind)
            && self.lane.is_none_or(|it| it == lane)
    }
}
