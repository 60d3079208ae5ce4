//! A job and its tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::amounts::Amounts;
use super::due::Backoffs;
use super::event::Ranges;
use super::graph::Ties;
use super::packed::Packed;
use super::ranges::{IndexSet, width};
use super::rows::{Indices, Row, Rows};
use crate::end::{NotStarted, TaskState};
use crate::id::JobId;
use crate::job::JobSpec;

/// The most attempts that are remembered of a task, the newest.
pub const MAX_ATTEMPTS_KEPT: usize = 16;

/// The most deeds that are remembered of a job, the newest: what people did to it, and what befell
/// tasks that had no attempt.
pub const MAX_DEEDS: usize = 64;

/// The most ranges of a deed that are remembered; of a longer one, that it concerned some tasks
/// from its first to its last.
const MAX_DEED_RANGES: usize = 32;

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub spec: Box<JobSpec>,
    /// The same as it was taken.
    pub json: Arc<str>,
    pub by: String,
    pub submitted: u64,
    /// When its times to wait began: its submission, its last release or reopening.
    pub opened: u64,
    pub priority: i32,
    pub started: Option<u64>,
    pub ended: Option<u64>,
    /// It is to be removed when it has ended.
    pub is_unwanted: bool,
    pub indices: Indices,
    pub rows: Rows,
    /// What one task needs.
    pub need: Amounts,
    /// Tasks that never had an attempt: all without a row.
    pub fresh: IndexSet,
    /// Open attempts that are to be killed.
    pub doomed: u64,
    /// When tasks in [`TaskState::Backoff`] may run again.
    pub due: Backoffs,
    /// Attempts before the newest, of tasks that had several.
    pub earlier: BTreeMap<u32, VecDeque<Packed>>,
    /// What is known of an attempt beside its numbers.
    pub notes: BTreeMap<(u32, u32), Note>,
    pub deeds: VecDeque<Deed>,
    pub ties: Ties,
    /// Tasks by state; those without an entry are none.
    sets: BTreeMap<TaskState, IndexSet>,
}

/// What is known of an attempt beside its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Note {
    /// For people.
    pub text: Option<String>,
    /// Why a command was not started.
    pub not_started: Option<NotStarted>,
}

/// What was done to tasks, or befell them, apart from their attempts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Deed {
    pub at: u64,
    /// To which.
    pub indices: Ranges,
    /// For people.
    pub what: String,
}

impl Job {
    /// A job that was just taken; its specification was checked.
    pub fn new(id: JobId, spec: JobSpec, json: Arc<str>, by: String, at: u64) -> Self {
        let ranges = spec.indices().expect("the specification was checked");
        let indices = Indices::new(&ranges);
        let ties = Ties::of(&spec);
        let state = match (spec.hold, ties.after.is_empty()) {
            (true, _) => TaskState::Held,
            (false, true) => TaskState::Queued,
            (false, false) => TaskState::Waiting,
        };
        let fresh: IndexSet = indices.ranges().collect();
        let sets = BTreeMap::from([(state, fresh.clone())]);
        Self {
            id,
            need: (&spec.resources).into(),
            priority: spec.priority,
            spec: Box::new(spec),
            json,
            by,
            submitted: at,
            opened: at,
            started: None,
            ended: None,
            is_unwanted: false,
            indices,
            rows: Rows::default(),
            fresh,
            doomed: 0,
            due: Backoffs::default(),
            earlier: BTreeMap::new(),
            notes: BTreeMap::new(),
            deeds: VecDeque::new(),
            ties,
            sets,
        }
    }

    /// The row of a task that has had an attempt.
    pub fn row(&self, index: u32) -> Option<Row> {
        self.rows.get(self.indices.rank(index)?)
    }

    /// The state of its tasks that are to run, and have no attempt: those that wait for others are
    /// queued when these have ended.
    pub fn first_state(&self) -> TaskState {
        if self.ties.after.is_empty() { TaskState::Queued } else { TaskState::Waiting }
    }

    /// See [`row`](Self::row). Its attempt has not ended.
    pub fn row_mut(&mut self, index: u32) -> Option<&mut Row> {
        self.rows.get_mut(self.indices.rank(index)?)
    }

    /// How a task stands, if there is such a task.
    pub fn state(&self, index: u32) -> Option<TaskState> {
        let rank = self.indices.rank(index)?;
        match self.rows.get(rank) {
            Some(row) => Some(row.state),
            None => self.sets.iter().find(|(_, set)| set.contains(index)).map(|(state, _)| *state),
        }
    }

    /// The tasks in a state.
    pub fn set(&self, state: TaskState) -> &IndexSet {
        static NONE: IndexSet = IndexSet::new();
        self.sets.get(&state).unwrap_or(&NONE)
    }

    /// The states that tasks are in.
    pub fn sets(&self) -> impl Iterator<Item = (TaskState, &IndexSet)> {
        self.sets.iter().map(|(state, set)| (*state, set))
    }

    /// How many tasks are in a state.
    pub fn count(&self, state: TaskState) -> u64 {
        self.set(state).len()
    }

    /// How many tasks have an attempt that has not ended.
    pub fn open(&self) -> u64 {
        self.count_where(TaskState::has_attempt)
    }

    /// How many tasks are in one of the states that `is` says.
    pub fn count_where(&self, is: impl Fn(TaskState) -> bool) -> u64 {
        self.sets.iter().filter(|(state, _)| is(**state)).map(|(_, set)| set.len()).sum()
    }

    /// Whether all tasks have ended.
    pub fn has_ended(&self) -> bool {
        self.sets.keys().all(|state| state.is_ended())
    }

    /// How many more of its queued tasks may get an attempt now.
    pub fn room(&self) -> u64 {
        let most = self.spec.max_running.map_or(u64::MAX, u64::from);
        most.saturating_sub(self.open()).min(self.count(TaskState::Queued))
    }

    /// Tasks in range get another state, wherever they are now. Rows are not touched.
    fn move_range(&mut self, first: u32, last: u32, to: TaskState) {
        self.sets.retain(|state, set| {
            if *state != to {
                set.remove(first, last);
            }
            !set.is_empty()
        });
        self.sets.entry(to).or_default().insert(first, last);
    }

    /// A task with a row gets another state.
    pub fn set_row_state(&mut self, index: u32, to: TaskState) {
        let rank = self.indices.rank(index).expect("it is of the job");
        let from = self.rows.set_state(rank, to).expect("it has had an attempt");
        if let Some(set) = self.sets.get_mut(&from) {
            set.remove(index, index);
            if set.is_empty() {
                self.sets.remove(&from);
            }
        }
        self.sets.entry(to).or_default().insert(index, index);
    }

    /// Tasks in range, all of the job and without an open attempt, get another state.
    pub fn set_states(&mut self, first: u32, last: u32, to: TaskState) {
        self.move_range(first, last, to);
        self.each_row(first, last, |row| row.state = to);
        self.due.clear_range(first, last);
    }

    /// Tasks in range, all queued, get their next attempt.
    pub fn open_attempts(&mut self, first: u32, last: u32, attempt: Packed) {
        self.move_range(first, last, TaskState::Assigned);
        self.fresh.remove(first, last);
        for index in first..=last {
            self.open_attempt(index, attempt);
        }
    }

    fn open_attempt(&mut self, index: u32, attempt: Packed) {
        let rank = self.indices.rank(index).expect("it is of the job");
        let before = self.rows.get(rank);
        let mut row = before.unwrap_or_else(|| Row::new(attempt));
        (row.last, row.state) = (attempt, TaskState::Assigned);
        self.rows.put(rank, row);
        if let Some(before) = before.filter(|row| row.last.counts()) {
            let earlier = self.earlier.entry(index).or_default();
            earlier.push_back(before.last);
            if earlier.len() >= MAX_ATTEMPTS_KEPT {
                let gone = earlier.pop_front().expect("it is not empty");
                self.notes.remove(&(index, gone.number));
            }
        }
    }

    /// Tasks in range have their attempts and faults before them again.
    pub fn reset_budgets(&mut self, first: u32, last: u32) {
        self.each_row(first, last, |row| (row.counted, row.faults) = (0, 0));
    }

    fn each_row(&mut self, first: u32, last: u32, mut to: impl FnMut(&mut Row)) {
        let (from, until) = (self.indices.rank_from(first), self.indices.rank(last));
        let until = until.expect("it is of the job");
        self.rows.each_mut(from, until, &mut to);
    }

    /// Puts back a row that it had; none if it has no such task.
    pub fn restore_row(&mut self, rank: u32, row: Row) -> Option<()> {
        let index = self.indices.at(rank)?;
        self.fresh.remove(index, index);
        self.doomed += u64::from(row.doom.is_some());
        self.rows.put(rank, row);
        Some(())
    }

    /// Puts its tasks back into the states that they were in.
    pub fn restore_sets(&mut self, sets: Vec<(TaskState, Ranges)>) {
        let set = |(state, ranges): (TaskState, Ranges)| (state, ranges.into_iter().collect());
        self.sets = sets.into_iter().map(set).collect();
    }

    /// All attempts that are remembered of a task, the oldest first.
    pub fn attempts(&self, index: u32) -> impl Iterator<Item = Packed> {
        let last = self.row(index).map(|row| row.last);
        self.earlier_attempts(index).chain(last.filter(Packed::counts))
    }

    /// Those of all tasks, each with the index of its task.
    pub fn all_attempts(&self) -> impl Iterator<Item = (u32, Packed)> {
        self.rows.from(0).flat_map(|(rank, row)| {
            let index = self.indices.at(rank).expect("a row has an index");
            let last = Some(row.last).filter(Packed::counts);
            self.earlier_attempts(index).chain(last).map(move |attempt| (index, attempt))
        })
    }

    fn earlier_attempts(&self, index: u32) -> impl Iterator<Item = Packed> {
        self.earlier.get(&index).into_iter().flatten().copied()
    }

    /// Notes what was done to tasks.
    pub fn did(&mut self, at: u64, indices: &[(u32, u32)], what: String) {
        let mut indices = indices.to_vec();
        if indices.len() > MAX_DEED_RANGES {
            let (first, last) = (indices[0].0, indices[indices.len() - 1].1);
            indices = vec![(first, last)];
        }
        if self.deeds.len() >= MAX_DEEDS {
            self.deeds.pop_front();
        }
        self.deeds.push_back(Deed { at, indices, what });
    }

    /// The first tasks from an index on in one of the states that `is` says, at most so many.
    pub fn first_in(&self, from: u32, limit: usize, is: impl Fn(TaskState) -> bool) -> Vec<u32> {
        let sets = self.sets.iter().filter(|(state, _)| is(**state));
        let firsts = sets.map(|(_, set)| {
            let ranges = set.within(from, u32::MAX);
            ranges.flat_map(|(first, last)| first..=last).take(limit)
        });
        let mut found: Vec<u32> = firsts.flatten().collect();
        found.sort_unstable();
        found.truncate(limit);
        found
    }

    /// What of `within` is a task of it in one of the states that `is` says: ascending ranges.
    pub fn select(&self, within: (u32, u32), is: impl Fn(TaskState) -> bool) -> Ranges {
        let sets = self.sets.iter().filter(|(state, _)| is(**state));
        let found: IndexSet = sets.flat_map(|(_, set)| set.within(within.0, within.1)).collect();
        found.ranges().collect()
    }
}

/// How many indices ranges have.
pub fn count(indices: &[(u32, u32)]) -> u64 {
    indices.iter().map(|&(first, last)| width(first, last)).sum()
}
