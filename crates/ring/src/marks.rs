//! How far each member of a view is: who has installed it, and up to which place it holds all.

use std::collections::BTreeMap;

use dx_agents::AgentId;

use crate::view::{Standing, View};

/// See the module. Who is not in it has not said that it installed the view.
#[derive(Clone, Debug, Default)]
pub struct Marks(BTreeMap<AgentId, u64>);

impl Marks {
    /// A member has installed the view, and holds everything up to `seq`.
    pub fn set(&mut self, id: AgentId, seq: u64) {
        let mark = self.0.entry(id).or_default();
        *mark = seq.max(*mark);
    }

    /// Who has installed the view.
    pub fn installers(&self) -> impl Iterator<Item = AgentId> {
        self.0.keys().copied()
    }

    /// The place that a majority has reached: of members that count, and have installed the view.
    #[must_use]
    pub fn majority(&self, view: &View) -> u64 {
        let admits = admits(view, &|id| self.0.contains_key(&id));
        let counts = |id: &AgentId| {
            let seat = view.seat(*id).filter(|seat| seat.is_in);
            seat.is_some_and(|seat| seat.standing == Standing::Voter || admits)
        };
        let mut marks: Vec<u64> =
            self.0.iter().filter(|(id, _)| counts(id)).map(|(_, mark)| *mark).collect();
        marks.sort_unstable_by(|one, other| other.cmp(one));
        marks.get(view.quorum() - 1).copied().unwrap_or(0)
    }

    /// The place that all members have reached.
    #[must_use]
    pub fn all(&self, view: &View) -> u64 {
        view.members().map(|id| self.0.get(&id).copied().unwrap_or(0)).min().unwrap_or(0)
    }

    /// Whether all members have installed the view.
    #[must_use]
    pub fn is_complete(&self, view: &View) -> bool {
        view.members().all(|id| self.0.contains_key(&id))
    }
}

/// Whether those that `view` admitted count: a majority that counted before has installed it.
pub fn admits(view: &View, has_installed: &dyn Fn(AgentId) -> bool) -> bool {
    let voters = view.roll.iter().filter(|it| it.is_in && it.standing == Standing::Voter);
    voters.filter(|seat| has_installed(seat.id)).count() >= view.quorum()
}
