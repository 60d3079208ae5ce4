//! Views: who is in the ring, whose word counts, and under which number.

use std::fmt;

use dx_agents::AgentId;
use serde::{Deserialize, Serialize};

/// One life of a member. A member that restarts has forgotten everything, so it is another one:
/// nothing that its former life said is held against it, or counted for it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Life {
    /// That of its node.
    pub node: u64,
    /// Restarts of the agent within it.
    pub restarts: u32,
}

/// The name of a view: views follow each other in the order of their ids.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ViewId {
    /// Grows from view to view. A member promises each number once.
    pub number: u64,
    /// Who proposed it.
    pub coordinator: AgentId,
    /// In which life. Another one does not know which numbers this one took, and may take one again.
    pub life: Life,
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {} of {}", self.number, self.coordinator)
    }
}

/// Whether a member's word counts towards majorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Voter,
    /// Not before a majority of voters has installed the view: its former life may be counted on
    /// for what this one never heard of.
    New,
}

/// What a view says of one configured member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Which.
    pub id: AgentId,
    /// The life that the view knows.
    pub life: Life,
    /// Whether it counts.
    pub standing: Standing,
    /// Whether it is a member of the view. One that is not may still count when it returns.
    pub is_in: bool,
}

/// A view: its members, and what is known of the lives of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub id: ViewId,
    /// The first of a ring: it carries nothing over.
    pub is_founding: bool,
    /// All configured members, ascending by id.
    pub roll: Vec<Seat>,
}

impl View {
    /// Members, in the order of the ring.
    #[must_use]
    pub fn members(&self) -> impl DoubleEndedIterator<Item = AgentId> {
        self.roll.iter().filter(|seat| seat.is_in).map(|seat| seat.id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members().count()
    }

    /// Never: a view has a majority of members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it says of `id`.
    #[must_use]
    pub fn seat(&self, id: AgentId) -> Option<&Seat> {
        self.roll.iter().find(|seat| seat.id == id)
    }

    /// Whether `id` is a member.
    #[must_use]
    pub fn has(&self, id: AgentId) -> bool {
        self.seat(id).is_some_and(|seat| seat.is_in)
    }

    /// The member to which `id` passes payload on.
    #[must_use]
    pub fn successor(&self, id: AgentId) -> AgentId {
        self.members().find(|it| *it > id).or_else(|| self.members().next()).unwrap_or(id)
    }

    /// The member from which `id` gets payload.
    #[must_use]
    pub fn predecessor(&self, id: AgentId) -> AgentId {
        self.members()
            .rev()
            .find(|it| *it < id)
            .or_else(|| self.members().next_back())
            .unwrap_or(id)
    }

    /// The one that gives numbers.
    #[must_use]
    pub fn last(&self) -> AgentId {
        self.members().next_back().unwrap_or_default()
    }

    /// The one that sees to changes and commands.
    #[must_use]
    pub fn first(&self) -> AgentId {
        self.members().next().unwrap_or_default()
    }

    /// A majority of the configured members.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.roll.len())
    }
}

/// A majority of `configured` members.
#[must_use]
pub fn quorum(configured: usize) -> usize {
    configured / 2 + 1
}
