//! Who waits for whom, and who therefore waits for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Display};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Room at the other's: its mailbox or its node has no credit left.
    Credit,
    /// Its answer to a question.
    Answer,
}

/// A graph of waits. Whoever waits for several waits for all of them (the AND model of Knapp:
/// "Deadlock detection in distributed databases", ACM Computing Surveys 1987); then a deadlock is
/// a cycle, and a cycle a deadlock. Waits that a timer ends do not belong here.
#[derive(Clone, Debug)]
pub struct Waits<N> {
    edges: BTreeMap<N, BTreeSet<(N, Reason)>>,
}

/// A cycle: each waits for the next, the last one for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock<N> {
    /// Who waits, and what for, at the next one. Begins with the smallest.
    pub cycle: Vec<(N, Reason)>,
}

impl<N> Default for Waits<N> {
    fn default() -> Self {
        Self { edges: BTreeMap::new() }
    }
}

impl<N: Ord + Copy> Waits<N> {
    /// A graph in which nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `who` waits for `whom`. The same wait twice is one.
    pub fn begin(&mut self, who: N, whom: N, reason: Reason) {
        self.edges.entry(who).or_default().insert((whom, reason));
    }

    /// `who` waits no longer for this. Gives whether it did.
    pub fn end(&mut self, who: N, whom: N, reason: Reason) -> bool {
        let Some(waits) = self.edges.get_mut(&who) else { return false };
        let did = waits.remove(&(whom, reason));
        if waits.is_empty() {
            self.edges.remove(&who);
        }
        did
    }

    /// Cycles such that everyone who is in some cycle with nobody of the others is in one of
    /// them: short ones, the smallest members first. None exactly if there is no deadlock.
    ///
    /// Linear in the graph if there is none; else one breadth-first search for each member of
    /// what is left when those that will come to run are taken away.
    #[must_use]
    pub fn deadlocks(&self) -> Vec<Deadlock<N>> {
        let stuck = self.stuck();
        let mut named = BTreeSet::new();
        let mut deadlocks = Vec::new();
        for &who in &stuck {
            if named.contains(&who) {
                continue;
            }
            if let Some(cycle) = self.shortest_cycle(who, &stuck) {
                named.extend(cycle.iter().map(|(member, _)| *member));
                deadlocks.push(Deadlock { cycle });
            }
        }
        deadlocks
    }

    /// Those who wait for ever: in a cycle, or for someone who is. Whoever waits for nobody runs,
    /// and so, one after the other, does whoever waits only for such.
    fn stuck(&self) -> BTreeSet<N> {
        let mut waiters: BTreeMap<N, Vec<N>> = BTreeMap::new();
        let mut left: BTreeMap<N, usize> = BTreeMap::new();
        for (&who, waits) in &self.edges {
            left.insert(who, waits.len());
            for &(whom, _) in waits {
                waiters.entry(whom).or_default().push(who);
            }
        }
        let mut free: Vec<N> =
            waiters.keys().filter(|whom| !self.edges.contains_key(whom)).copied().collect();
        while let Some(whom) = free.pop() {
            for who in waiters.remove(&whom).unwrap_or_default() {
                let count = left.get_mut(&who).expect("whoever waits is counted");
                *count -= 1;
                if *count == 0 {
                    left.remove(&who);
                    free.push(who);
                }
            }
        }
        left.into_keys().collect()
    }

    /// By breadth-first search among `stuck`.
    fn shortest_cycle(&self, start: N, stuck: &BTreeSet<N>) -> Option<Vec<(N, Reason)>> {
        let mut reached_from: BTreeMap<N, (N, Reason)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(who) = queue.pop_front() {
            for &(whom, reason) in &self.edges[&who] {
                if stuck.contains(&whom) && !reached_from.contains_key(&whom) {
                    reached_from.insert(whom, (who, reason));
                    queue.push_back(whom);
                }
            }
            if reached_from.contains_key(&start) {
                let mut cycle = vec![reached_from[&start]];
                while let Some((member, _)) = cycle.last().filter(|(member, _)| *member != start) {
                    cycle.push(reached_from[member]);
                }
                cycle.reverse();
                return Some(cycle);
            }
        }
        None
    }
}

impl<N: Display> Display for Deadlock<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deadlock: ")?;
        for (index, (who, reason)) in self.cycle.iter().enumerate() {
            let (whom, _) = &self.cycle[(index + 1) % self.cycle.len()];
            let what = match reason {
                Reason::Credit => "credit from",
                Reason::Answer => "an answer of",
            };
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{who} waits for {what} {whom}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reachable(edges: &[(u8, u8, bool)], from: u8) -> BTreeSet<u8> {
        let mut known = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(who) = todo.pop() {
            let next = edges.iter().filter(|edge| edge.0 == who).map(|edge| edge.1);
            todo.extend(next.filter(|whom| known.insert(*whom)));
        }
        known
    }

    fn graph(edges: &[(u8, u8, bool)]) -> Waits<u8> {
        let mut waits = Waits::new();
        for &(who, whom, is_credit) in edges {
            waits.begin(who, whom, if is_credit { Reason::Credit } else { Reason::Answer });
        }
        waits
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn cycles_are_named_exactly_where_someone_reaches_himself(
            edges in prop::collection::vec((0_u8..9, 0_u8..9, any::<bool>()), 0..16)
        ) {
            let deadlocks = graph(&edges).deadlocks();
            let in_cycles: BTreeSet<u8> =
                (0..9).filter(|who| reachable(&edges, *who).contains(who)).collect();
            let named: BTreeSet<u8> = deadlocks
                .iter()
                .flat_map(|deadlock| deadlock.cycle.iter().map(|(who, _)| *who))
                .collect();
            prop_assert_eq!(named, in_cycles);
            for Deadlock { cycle } in deadlocks {
                let distinct: BTreeSet<u8> = cycle.iter().map(|(who, _)| *who).collect();
                prop_assert_eq!(distinct.len(), cycle.len());
                for (index, (who, reason)) in cycle.iter().enumerate() {
                    let (whom, _) = cycle[(index + 1) % cycle.len()];
                    prop_assert!(edges.contains(&(*who, whom, *reason == Reason::Credit)));
                }
            }
        }

        #[test]
        fn a_wait_that_ended_is_as_if_it_never_was(
            edges in prop::collection::btree_set((0_u8..6, 0_u8..6, any::<bool>()), 0..12),
            ended in prop::collection::btree_set((0_u8..6, 0_u8..6, any::<bool>()), 0..12),
        ) {
            let all: Vec<_> = edges.union(&ended).copied().collect();
            let left: Vec<_> = edges.difference(&ended).copied().collect();
            let mut waits = graph(&all);
            for &(who, whom, is_credit) in &ended {
                let reason = if is_credit { Reason::Credit } else { Reason::Answer };
                prop_assert!(waits.end(who, whom, reason));
                prop_assert!(!waits.end(who, whom, reason));
            }
            prop_assert_eq!(waits.edges, graph(&left).edges);
        }
    }

    #[test]
    fn a_deadlock_names_its_cycle() {
        let mut waits = Waits::new();
        waits.begin("a", "b", Reason::Credit);
        waits.begin("b", "c", Reason::Answer);
        waits.begin("c", "a", Reason::Credit);
        waits.begin("d", "a", Reason::Answer);
        let deadlocks: Vec<String> = waits.deadlocks().iter().map(ToString::to_string).collect();
        assert_eq!(
            deadlocks,
            [
                "deadlock: a waits for credit from b, b waits for an answer of c, c waits for credit from a"
            ]
        );
    }
}
