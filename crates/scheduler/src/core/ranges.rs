//! Sets of a job's indices, as ranges: what a million tasks have in common costs a few bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of indices. Ranges in it neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSet {
    /// From the first index of a range to its last.
    ranges: BTreeMap<u32, u32>,
    len: u64,
}

impl IndexSet {
    /// The empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: BTreeMap::new(), len: 0 }
    }

    /// How many indices are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `index` is in it.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.ranges.range(..=index).next_back().is_some_and(|(_, &last)| index <= last)
    }

    /// Adds the indices from `first` to `last`; some may be in it.
    pub fn insert(&mut self, first: u32, last: u32) {
        let (mut from, mut to) = (first, last);
        if let Some((&start, &end)) = self.ranges.range(..=first).next_back()
            && u64::from(end) + 1 >= u64::from(first)
        {
            if end >= last {
                return;
            }
            from = start;
        }
        // Whatever begins within it, or right after its end, becomes a part of it.
        let touching = u32::saturating_add(last, 1);
        while let Some((&start, &end)) = self.ranges.range(from..=touching).next() {
            self.ranges.remove(&start);
            self.len -= width(start, end);
            to = to.max(end);
        }
        self.ranges.insert(from, to);
        self.len += width(from, to);
    }

    /// Removes the indices from `first` to `last`; some may not be in it.
    pub fn remove(&mut self, first: u32, last: u32) {
        if let Some((&start, &end)) = self.ranges.range(..first).next_back()
            && end >= first
        {
            self.ranges.insert(start, first - 1);
            self.len -= width(first, end);
            if end > last {
                self.put(last + 1, end);
                return;
            }
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last).next() {
            self.ranges.remove(&start);
            self.len -= width(start, end);
            if end > last {
                self.put(last + 1, end);
            }
        }
    }

    /// Its ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().map(|(&first, &last)| (first, last))
    }

    /// What of it lies between `first` and `last`, ascending; nothing, if `last` comes first.
    pub fn within(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let is_any = first <= last;
        let before = self.ranges.range(..first).next_back().filter(|(_, end)| **end >= first);
        let before = before.filter(|_| is_any);
        let inside = is_any.then(|| self.ranges.range(first..=last));
        before
            .into_iter()
            .chain(inside.into_iter().flatten())
            .map(move |(&start, &end)| (start.max(first), end.min(last)))
    }

    fn put(&mut self, first: u32, last: u32) {
        self.ranges.insert(first, last);
        self.len += width(first, last);
    }
}

impl FromIterator<(u32, u32)> for IndexSet {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            set.insert(first, last);
        }
        set
    }
}

/// How many indices a range has.
#[must_use]
pub fn width(first: u32, last: u32) -> u64 {
    u64::from(last - first) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dx_agents::rng::Rng;

    use super::*;

    fn well_formed(set: &IndexSet) {
        let ranges: Vec<_> = set.ranges().collect();
        assert!(ranges.iter().all(|(first, last)| first <= last));
        assert!(ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0), "{ranges:?}");
        assert_eq!(set.len(), ranges.iter().map(|&(first, last)| width(first, last)).sum::<u64>());
    }

    #[test]
    fn it_has_what_a_set_of_numbers_has() {
        let mut rng = Rng::new(7);
        let (mut set, mut model) = (IndexSet::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let first = rng.below(60) as u32;
            let last = first + rng.below(9) as u32;
            if rng.below(2) == 0 {
                set.insert(first, last);
                model.extend(first..=last);
            } else {
                set.remove(first, last);
                model.retain(|it| !(first..=last).contains(it));
            }
            well_formed(&set);
            assert!(set.ranges().flat_map(|(first, last)| first..=last).eq(model.iter().copied()));
            let (from, to) = (rng.below(70) as u32, rng.below(70) as u32);
            let within = set.within(from, to).flat_map(|(first, last)| first..=last);
            assert!(within.eq(model.iter().copied().filter(|it| (from..=to).contains(it))));
        }
    }

    #[test]
    fn the_last_index_there_can_be_is_an_index() {
        let mut set = IndexSet::default();
        set.insert(u32::MAX - 1, u32::MAX);
        set.insert(0, 0);
        assert!(set.contains(u32::MAX));
        set.remove(u32::MAX, u32::MAX);
        assert_eq!(set.ranges().collect::<Vec<_>>(), [(0, 0), (u32::MAX - 1, u32::MAX - 1)]);
    }
}
