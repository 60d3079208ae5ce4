//! What is kept of tasks that have had an attempt: a row each, in pages that exist where a task ran.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::event::Doom;
use super::packed::Packed;
use super::ranges::width;
use crate::end::TaskState;

/// Rows of a page. Tasks run in the order of their indices, so few pages are part empty.
const PAGE: u32 = 32;

/// A task that has had an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its newest attempt.
    pub last: Packed,
    pub state: TaskState,
    /// Why its attempt is to be killed, if it is.
    pub doom: Option<Doom>,
    /// Without grace.
    pub doom_now: bool,
    /// If its attempt comes back unused, it is to be held.
    pub hold: bool,
    /// Attempts that count against the most there may be, since it was opened.
    pub counted: u16,
    /// Attempts that were the fault of nodes, since it was opened.
    pub faults: u16,
}

impl Row {
    /// Of a task that gets its first attempt.
    pub fn new(attempt: Packed) -> Self {
        Self {
            last: attempt,
            state: TaskState::Assigned,
            doom: None,
            doom_now: false,
            hold: false,
            counted: 0,
            faults: 0,
        }
    }

    /// Whether this attempt of it has not ended.
    pub fn is_open(&self, number: u32) -> bool {
        self.state.has_attempt() && self.last.number == number
    }
}

/// Rows by the rank of their index among those of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pages: BTreeMap<u32, Box<[Option<Row>; PAGE as usize]>>,
    len: u64,
}

impl Rows {
    pub fn get(&self, rank: u32) -> Option<&Row> {
        self.pages.get(&(rank / PAGE))?[(rank % PAGE) as usize].as_ref()
    }

    pub fn get_mut(&mut self, rank: u32) -> Option<&mut Row> {
        self.pages.get_mut(&(rank / PAGE))?[(rank % PAGE) as usize].as_mut()
    }

    /// Puts a row in its place.
    pub fn put(&mut self, rank: u32, row: Row) {
        let page = self.pages.entry(rank / PAGE).or_insert_with(|| Box::new([None; PAGE as usize]));
        let place = &mut page[(rank % PAGE) as usize];
        self.len += u64::from(place.is_none());
        *place = Some(row);
    }

    /// Calls `to` with the rows from a rank to another.
    pub fn each_mut(&mut self, from: u32, until: u32, to: &mut impl FnMut(&mut Row)) {
        for (page, rows) in self.pages.range_mut(from / PAGE..=until / PAGE) {
            let ranked = (page * PAGE..).zip(rows.iter_mut());
            for (_, row) in ranked.filter(|(rank, _)| (from..=until).contains(rank)) {
                row.iter_mut().for_each(&mut *to);
            }
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// All rows with their ranks, ascending, from a rank on.
    pub fn from(&self, rank: u32) -> impl Iterator<Item = (u32, &Row)> {
        self.pages.range(rank / PAGE..).flat_map(move |(page, rows)| {
            let ranked = (page * PAGE..).zip(rows.iter());
            ranked.filter_map(move |(at, row)| Some((at, row.as_ref()?)).filter(|_| at >= rank))
        })
    }
}

/// The indices of a job: ascending ranges, each with the rank of its first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices(Vec<(u32, u32, u32)>);

impl Indices {
    /// Those of ascending ranges that do not overlap.
    pub fn new(ranges: &[RangeInclusive<u32>]) -> Self {
        let mut rank = 0;
        let ranked = ranges.iter().map(|range| {
            let (first, last, before) = (*range.start(), *range.end(), rank);
            rank += width(first, last) as u32;
            (first, last, before)
        });
        Self(ranked.collect())
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.0.last().map_or(0, |&(first, last, rank)| rank + width(first, last) as u32)
    }

    /// The ranges.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(|&(first, last, _)| (first, last))
    }

    /// How many indices are before this one, if it is one.
    pub fn rank(&self, index: u32) -> Option<u32> {
        let at = self.0.partition_point(|(first, ..)| *first <= index).checked_sub(1)?;
        let (first, last, rank) = self.0[at];
        (index <= last).then(|| rank + (index - first))
    }

    /// The index of this rank.
    pub fn at(&self, rank: u32) -> Option<u32> {
        let at = self.0.partition_point(|(.., before)| *before <= rank).checked_sub(1)?;
        let (first, last, before) = self.0[at];
        let index = u64::from(first) + u64::from(rank - before);
        (index <= u64::from(last)).then_some(index as u32)
    }

    /// The first rank whose index is not below `index`.
    pub fn rank_from(&self, index: u32) -> u32 {
        let at = self.0.partition_point(|(_, last, _)| *last < index);
        match self.0.get(at) {
            Some(&(first, _, rank)) => rank + index.saturating_sub(first),
            None => self.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_the_indices_before() {
        let indices = Indices::new(&[3..=5, 10..=10, u32::MAX..=u32::MAX]);
        let all = [3, 4, 5, 10, u32::MAX];
        assert_eq!(indices.len(), 5);
        for (rank, index) in (0..).zip(all) {
            assert_eq!((indices.rank(index), indices.at(rank)), (Some(rank), Some(index)));
            assert_eq!(indices.rank_from(index), rank);
        }
        assert_eq!((indices.rank(6), indices.at(5)), (None, None));
        assert_eq!((indices.rank_from(0), indices.rank_from(6)), (0, 3));
    }

    #[test]
    fn a_task_that_ran_costs_less_than_a_hundred_bytes() {
        assert!(size_of::<Option<Row>>() <= 96, "{}", size_of::<Option<Row>>());
    }
}
