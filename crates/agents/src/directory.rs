//! Who is in the deployment: a read-only view that every agent has.

use std::collections::BTreeMap;

use dx_transport::id::NodeId;

use crate::id::AgentId;
use crate::spec::AgentSpec;

/// The agents of the cluster file. Those spawned at run time are not in it.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    agents: BTreeMap<AgentId, AgentSpec>,
    by_kind: BTreeMap<String, Vec<AgentId>>,
}

impl Directory {
    /// The directory of `agents`.
    pub fn new(agents: impl IntoIterator<Item = AgentSpec>) -> Self {
        let agents: BTreeMap<_, _> = agents.into_iter().map(|spec| (spec.id, spec)).collect();
        let mut by_kind: BTreeMap<String, Vec<AgentId>> = BTreeMap::new();
        for spec in agents.values() {
            by_kind.entry(spec.kind.clone()).or_default().push(spec.id);
        }
        Self { agents, by_kind }
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<&AgentSpec> {
        self.agents.get(&id)
    }

    /// All agents, in the order of their ids.
    pub fn agents(&self) -> impl Iterator<Item = &AgentSpec> {
        self.agents.values()
    }

    /// The agents of a kind, in the order of their ids.
    #[must_use]
    pub fn by_kind(&self, kind: &str) -> &[AgentId] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The agents on a node, in the order of their ids.
    pub fn on_node(&self, node: NodeId) -> impl Iterator<Item = &AgentSpec> {
        self.agents.values().filter(move |spec| spec.node == node)
    }

    /// The node on which an agent lives: of the file, or spawned at run time.
    #[must_use]
    pub fn node_of(&self, id: AgentId) -> Option<NodeId> {
        id.spawned_by().or_else(|| self.agents.get(&id).map(|spec| spec.node))
    }
}
