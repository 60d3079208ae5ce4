//! What a test may look at.

use std::collections::BTreeMap;

use dx_agents::runtime::Reason;
use dx_agents::{AgentId, Directory, Incarnation, NodeId};

use super::{Seat, Sim};
use crate::disk::Damage;
use crate::network::Tally;

impl Sim {
    /// The deployment, whoever of it is up.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// An agent as what it is; `None` if it is not there now, or of another type.
    #[must_use]
    pub fn agent<T: 'static>(&self, id: AgentId) -> Option<&T> {
        self.tell_look(id);
        let place = self.places.get(&id)?;
        match place.seat {
            Seat::Agent(slot) => self.resident(slot)?.cell.agent(),
            Seat::Port(_) => None,
        }
    }

    /// All agents that are there now and of this type, in the order of their ids.
    pub fn agents_of<T: 'static>(&self) -> impl Iterator<Item = (AgentId, &T)> {
        let residents = self.agents.iter().flatten();
        let mut found: Vec<_> = residents
            .filter_map(|resident| Some((resident.cell.id(), resident.cell.agent()?)))
            .collect();
        found.sort_by_key(|(id, _)| *id);
        for (id, _) in &found {
            self.tell_look(*id);
        }
        found.into_iter()
    }

    /// A check looks at an agent: what it finds may depend on it.
    #[inline]
    fn tell_look(&self, agent: AgentId) {
        if let Some(story) = self.trace.story() {
            story.look_at(agent);
        }
    }

    /// Whether a node is up: also one that is paused is.
    #[must_use]
    pub fn is_up(&self, node: NodeId) -> bool {
        let place = self.node_places.get(&node);
        place.is_some_and(|place| self.nodes[*place as usize].is_up())
    }

    /// Messages that reached nobody, on all nodes.
    #[must_use]
    pub fn dead_letters(&self, reason: Reason) -> u64 {
        self.nodes.iter().map(|node| node.dead_letters[reason as usize]).sum()
    }

    /// The nodes of the deployment, in the order in which its agents name them.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().map(|node| node.id).filter(|id| id.0 < super::CLIENTS)
    }

    /// The node on which an agent lives, if there is such an agent.
    #[must_use]
    pub fn node_of(&self, id: AgentId) -> Option<NodeId> {
        self.directory.node_of(id)
    }

    /// The first agent that panicked in a step, and with what.
    #[must_use]
    pub fn panicked(&self) -> Option<(AgentId, &str)> {
        let (who, text) = self.panicked.as_ref()?;
        self.tell_look(*who);
        Some((*who, text))
    }

    /// Which life of a node this is, or was the last; it grows with each start. `None` if it has
    /// not started yet, or there is no such node.
    #[must_use]
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        let place = self.node_places.get(&node)?;
        Some(self.nodes[*place as usize].incarnation).filter(|life| life.0 > 0)
    }

    /// What an agent noted.
    #[must_use]
    pub fn notes(&self, id: AgentId) -> BTreeMap<String, u64> {
        let Some(super::Place { seat: Seat::Agent(slot), .. }) = self.places.get(&id) else {
            return BTreeMap::new();
        };
        let notes = self.resident(*slot).map(|resident| &resident.notes);
        let notes = notes.into_iter().flatten();
        notes.map(|(name, value)| (name.to_string(), *value)).collect()
    }

    /// What the network did.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.links.tally
    }

    /// What crashes did to what was not synced, on all disks.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Messages that wait for an agent.
    #[must_use]
    pub fn waiting(&self, id: AgentId) -> usize {
        match self.places.get(&id).map(|place| place.seat) {
            Some(Seat::Agent(slot)) => self.resident(slot).map_or(0, |it| it.mailbox.len()),
            Some(Seat::Port(port)) => self.ports[port as usize].messages,
            None => 0,
        }
    }
}
