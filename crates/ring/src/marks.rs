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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Life, Seat, ViewId};

    const LIFE: Life = Life { node: 1, restarts: 0 };

    /// Of five configured members those from 1 to `size`, the last of which does not count yet.
    fn view(size: u64, last: Standing) -> View {
        let standing = |id| if id == size { last } else { Standing::Voter };
        let seat =
            |id| Seat { id: AgentId(id), life: LIFE, standing: standing(id), is_in: id <= size };
        let id = ViewId { number: 1, coordinator: AgentId(1), life: LIFE };
        View { id, is_founding: false, roll: (1..=5).map(seat).collect() }
    }

    fn marks(of: &[(u64, u64)]) -> Marks {
        let mut marks = Marks::default();
        for (id, seq) in of {
            marks.set(AgentId(*id), *seq);
        }
        marks
    }

    #[test]
    fn a_majority_is_one_of_the_configured_members() {
        let view = view(3, Standing::Voter);
        assert_eq!(marks(&[(1, 9), (2, 8)]).majority(&view), 0);
        assert_eq!(marks(&[(1, 9), (2, 8), (3, 7)]).majority(&view), 7);
        assert_eq!(marks(&[(1, 9), (2, 8), (4, 7)]).majority(&view), 0, "4 is not in it");
    }

    #[test]
    fn who_is_admitted_counts_when_a_majority_without_it_has_installed_the_view() {
        let view = view(4, Standing::New);
        assert_eq!(marks(&[(1, 9), (2, 8), (4, 7)]).majority(&view), 0);
        assert_eq!(marks(&[(1, 1), (2, 8), (3, 6), (4, 7)]).majority(&view), 6);
    }
}
