//! Which agents of one other node are watched, and by whom of this one.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Down;
use crate::id::AgentId;

/// See the module. The other node is told once of an agent that anybody watches, and once when
/// nobody does any more.
#[derive(Clone, Debug, Default)]
pub struct Watches(BTreeMap<AgentId, BTreeSet<AgentId>>);

impl Watches {
    /// `me` wants to hear of the end of `who`, or no longer. Returns whether the other node must be
    /// told, since `me` is the first or was the last.
    #[must_use]
    pub fn set(&mut self, me: AgentId, who: AgentId, is_on: bool) -> bool {
        let watchers = self.0.entry(who).or_default();
        let was_on = !watchers.is_empty();
        if is_on {
            watchers.insert(me);
        } else {
            watchers.remove(&me);
        }
        let now_on = !watchers.is_empty();
        if !now_on {
            self.0.remove(&who);
        }
        was_on != now_on
    }

    /// Who is to be told that an agent is down. After its end there is nothing more to tell.
    #[must_use]
    pub fn down(&mut self, who: AgentId, why: Down) -> BTreeSet<AgentId> {
        if why.is_final() {
            self.0.remove(&who).unwrap_or_default()
        } else {
            self.0.get(&who).cloned().unwrap_or_default()
        }
    }

    /// Agents that are watched.
    pub fn watched(&self) -> impl Iterator<Item = AgentId> {
        self.0.keys().copied()
    }

    /// Who watches, and whom.
    pub fn pairs(&self) -> impl Iterator<Item = (AgentId, AgentId)> {
        self.0.iter().flat_map(|(&who, by)| by.iter().map(move |&me| (me, who)))
    }

    /// Nobody watches anybody.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: AgentId = AgentId(1);
    const OTHER: AgentId = AgentId(2);
    const WHO: AgentId = AgentId(9);

    #[test]
    fn the_first_watcher_and_the_last_are_told_of() {
        let mut watches = Watches::default();
        assert!(!watches.set(ME, WHO, false), "nobody watched");
        assert!(watches.set(ME, WHO, true));
        assert!(!watches.set(OTHER, WHO, true));
        assert!(!watches.set(ME, WHO, false));
        assert!(watches.set(OTHER, WHO, false));
        assert_eq!(watches.watched().count(), 0);
    }

    #[test]
    fn after_an_agents_end_there_is_nothing_more_to_tell() {
        for (why, left) in [(Down::SessionLost, 1), (Down::Restarted, 1), (Down::Stopped, 0)] {
            let mut watches = Watches::default();
            assert!(watches.set(ME, WHO, true));
            assert_eq!(watches.down(WHO, why), BTreeSet::from([ME]), "{why:?}");
            assert_eq!(watches.pairs().count(), left, "{why:?}");
        }
    }
}
