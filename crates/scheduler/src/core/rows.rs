//! What is kept of tasks that have had an attempt: a row each, in pages that exist where a task ran.
//! A page all of whose tasks have ended rests: its rows are bytes, a fifth of what they were.

pub mod encoded;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::event::Doom;
use super::packed::Packed;
use super::ranges::width;
use crate::end::TaskState;

/// Rows of a page. Tasks run in the order of their indices, so few pages are part empty; and whoever
/// looks at one that rests decodes them all.
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

/// Rows of a page by their places.
type Places = [Option<Row>; PAGE as usize];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Page {
    Open(Box<Places>),
    /// It is full, and all of its tasks have ended. See [`encoded`].
    Resting(Box<[u8]>),
}

impl Page {
    fn new() -> Self {
        Self::Open(Box::new([None; PAGE as usize]))
    }

    fn places(&self) -> Places {
        match self {
            Self::Open(places) => **places,
            Self::Resting(bytes) => {
                let mut places = [None; PAGE as usize];
                for (at, row) in encoded::decode(bytes).expect("it was encoded here") {
                    places[at as usize] = Some(row);
                }
                places
            }
        }
    }

    fn open(&mut self) -> &mut Places {
        if let Self::Resting(_) = self {
            *self = Self::Open(Box::new(self.places()));
        }
        match self {
            Self::Open(places) => places,
            Self::Resting(_) => unreachable!("it was opened"),
        }
    }

    /// Lets it rest, if it may.
    fn rest(&mut self) {
        if let Self::Open(places) = self
            && have_all_ended(places)
        {
            let rows = (0..).zip(places.iter().flatten().copied());
            *self = Self::Resting(encoded::encode(rows).into());
        }
    }
}

/// What ends last is mostly behind the others: so it is asked first.
fn have_all_ended(places: &Places) -> bool {
    places.iter().rev().all(|row| row.is_some_and(|row| row.state.is_ended()))
}

/// Rows by the rank of their index among those of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pages: BTreeMap<u32, Page>,
    len: u64,
}

impl Rows {
    pub fn get(&self, rank: u32) -> Option<Row> {
        let (page, at) = (self.pages.get(&(rank / PAGE))?, (rank % PAGE) as usize);
        match page {
            Page::Open(places) => places[at],
            Page::Resting(_) => page.places()[at],
        }
    }

    /// A row whose task has not ended, and will not have when it was changed.
    pub fn get_mut(&mut self, rank: u32) -> Option<&mut Row> {
        self.pages.get_mut(&(rank / PAGE))?.open()[(rank % PAGE) as usize].as_mut()
    }

    /// A task gets another state.
    pub fn set_state(&mut self, rank: u32, to: TaskState) -> Option<TaskState> {
        let page = self.pages.get_mut(&(rank / PAGE))?;
        let row = page.open()[(rank % PAGE) as usize].as_mut()?;
        let from = std::mem::replace(&mut row.state, to);
        if to.is_ended() {
            page.rest();
        }
        Some(from)
    }

    /// Puts a row in its place.
    pub fn put(&mut self, rank: u32, row: Row) {
        let page = self.pages.entry(rank / PAGE).or_insert_with(Page::new);
        let place = &mut page.open()[(rank % PAGE) as usize];
        self.len += u64::from(place.is_none());
        *place = Some(row);
        if row.state.is_ended() {
            page.rest();
        }
    }

    /// Calls `to` with the rows from a rank to another.
    pub fn each_mut(&mut self, from: u32, until: u32, to: &mut impl FnMut(&mut Row)) {
        for (page, rows) in self.pages.range_mut(from / PAGE..=until / PAGE) {
            let ranked = (page * PAGE..).zip(rows.open().iter_mut());
            for (_, row) in ranked.filter(|(rank, _)| (from..=until).contains(rank)) {
                row.iter_mut().for_each(&mut *to);
            }
            rows.rest();
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether all pages rest that may.
    pub fn are_settled(&self) -> bool {
        !self.pages.values().any(|page| matches!(page, Page::Open(it) if have_all_ended(it)))
    }

    /// All rows with their ranks, ascending, from a rank on.
    pub fn from(&self, rank: u32) -> impl Iterator<Item = (u32, Row)> {
        self.pages.range(rank / PAGE..).flat_map(move |(page, rows)| {
            let ranked = (page * PAGE..).zip(rows.places());
            ranked.filter_map(move |(at, row)| Some((at, row?)).filter(|_| at >= rank))
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
    fn a_task_that_runs_costs_less_than_a_hundred_bytes() {
        assert!(size_of::<Option<Row>>() <= 96, "{}", size_of::<Option<Row>>());
    }

    fn row(rank: u32, state: TaskState) -> Row {
        let at = 1_700_000_000_000 + u64::from(rank);
        let mut row = Row::new(Packed::new(1, dx_agents::NodeId(2), 1_690_000_000_000, at));
        (row.last.started, row.last.ended, row.last.ran) = (at + 3, at + 20, 17_123_456);
        (row.last.cpu, row.last.max_rss, row.state) = (1_234_567, 3 << 20, state);
        row
    }

    fn bytes(rows: &Rows) -> usize {
        let of = |page: &Page| match page {
            Page::Open(_) => size_of::<Places>(),
            Page::Resting(bytes) => bytes.len(),
        };
        rows.pages.values().map(of).sum()
    }

    #[test]
    fn tasks_that_have_ended_cost_some_twenty_bytes_and_are_as_they_were() {
        let mut rows = Rows::default();
        let all = 10 * PAGE;
        for rank in 0..all {
            rows.put(rank, row(rank, TaskState::Running));
        }
        for rank in 0..all {
            let from = rows.set_state(rank, TaskState::Succeeded);
            assert_eq!(from, Some(TaskState::Running));
        }
        assert!(bytes(&rows) < 25 * all as usize, "{}", bytes(&rows));
        let ended = |rank| (rank, row(rank, TaskState::Succeeded));
        assert!(rows.from(0).eq((0..all).map(ended)));
        assert!(rows.from(77).eq((77..all).map(ended)));
        assert_eq!((rows.get(77), rows.get(all)), (Some(ended(77).1), None));
    }

    #[test]
    fn a_page_rests_if_it_is_full_and_all_have_ended() {
        let mut rows = Rows::default();
        for rank in 0..PAGE - 1 {
            rows.put(rank, row(rank, TaskState::Failed));
        }
        let open = bytes(&rows);
        assert_eq!(open, size_of::<Places>(), "it is not full");
        rows.put(PAGE - 1, row(PAGE - 1, TaskState::Backoff));
        assert_eq!(bytes(&rows), open, "one has not ended");
        rows.each_mut(PAGE - 1, PAGE - 1, &mut |row| row.state = TaskState::Cancelled);
        assert!(bytes(&rows) < open, "it was cancelled");
        rows.each_mut(3, 5, &mut |row| row.state = TaskState::Queued);
        assert_eq!(bytes(&rows), open, "some run again");
        assert_eq!(rows.get(2), Some(row(2, TaskState::Failed)));
        for rank in 3..=5 {
            rows.put(rank, row(rank, TaskState::Assigned));
            rows.get_mut(rank).unwrap().last.number = 2;
            rows.set_state(rank, TaskState::Succeeded);
        }
        assert!(bytes(&rows) < open && rows.are_settled());
        assert_eq!((rows.get(4).unwrap().last.number, rows.len()), (2, u64::from(PAGE)));
    }
}
