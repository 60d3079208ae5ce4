//! What becomes of tasks when all that they wait for has ended.

use std::collections::BTreeMap;

use super::Core;
use super::event::{Decision, Event, Ranges};
use super::graph::is_failing;
use super::job::Job;
use super::ranges::IndexSet;
use super::state::State;
use crate::end::TaskState;
use crate::id::JobId;
use crate::job::When;

/// What is to become of tasks; what comes later outranks what comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Run,
    Skip {
        via: JobId,
        root: JobId,
    },
    Abort {
        via: JobId,
        root: JobId,
    },
    /// Something that they wait for has not ended.
    Open,
}

impl Verdict {
    fn rank(self) -> u8 {
        match self {
            Self::Run => 0,
            Self::Skip { .. } => 1,
            Self::Abort { .. } => 2,
            Self::Open => 3,
        }
    }

    /// Of both, that which outranks the other; of equals, the first.
    fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// By whom tasks are stopped, if they are.
    pub fn stopped(self) -> Option<(JobId, JobId)> {
        match self {
            Self::Skip { via, root } | Self::Abort { via, root } => Some((via, root)),
            Self::Run | Self::Open => None,
        }
    }

    fn decision(self) -> Option<Decision> {
        match self {
            Self::Run => Some(Decision::Run),
            Self::Skip { via, root } => Some(Decision::Skip { via, root }),
            Self::Abort { via, root } => Some(Decision::Abort { via, root }),
            Self::Open => None,
        }
    }
}

impl Core {
    /// Decides what waits for nothing any more. A job's number is higher than those of all it waits
    /// for, so each is looked at when all before it are decided.
    pub(super) fn decide(&mut self) {
        while let Some((id, indices)) = self.effects.undecided.pop_first() {
            let Some(job) = self.state.job(id) else { continue };
            let waiting = job.set(TaskState::Waiting);
            let indices = indices.ranges().flat_map(|(first, last)| waiting.within(first, last));
            for (verdict, set) in self.state.verdicts(job, &indices.collect()) {
                let Some(decision) = verdict.decision() else { continue };
                let indices: Ranges = set.ranges().collect();
                self.record(Event::Decided { job: id, indices, decision });
            }
        }
    }

    /// What was aborted or skipped via tasks that run again waits again, and what was so via that.
    pub(super) fn revive(&mut self, job: JobId, indices: &Ranges) {
        let mut reopened = BTreeMap::from([(job, indices.iter().copied().collect::<IndexSet>())]);
        while let Some((on, indices)) = reopened.pop_first() {
            for id in self.state.graph.dependants(on) {
                let revived = self.state.stopped_via(id, on, &indices);
                if !revived.is_empty() {
                    let ranges: Ranges = revived.ranges().collect();
                    self.record(Event::Revived { job: id, indices: ranges, via: on });
                    let set = reopened.entry(id).or_default();
                    revived.ranges().for_each(|(first, last)| set.insert(first, last));
                }
            }
        }
    }
}

impl State {
    /// What is to become of tasks of a job, as things stand.
    pub(super) fn verdicts(&self, job: &Job, indices: &IndexSet) -> BTreeMap<Verdict, IndexSet> {
        let mut verdicts = BTreeMap::new();
        if indices.is_empty() {
            return verdicts;
        }
        if job.ties.pending > 0 {
            verdicts.insert(Verdict::Open, indices.clone());
            return verdicts;
        }
        let whole = job.ties.after.iter().filter(|(_, edge)| !edge.each);
        let whole = whole.filter_map(|(on, edge)| Some(of_job(self.job(*on)?, edge.when)));
        let whole = whole.fold(Verdict::Run, Verdict::and);
        let mut pieces: Vec<(u32, u32, Verdict)> =
            indices.ranges().map(|(first, last)| (first, last, whole)).collect();
        for (on, edge) in job.ties.after.iter().filter(|(_, edge)| edge.each) {
            let Some(on) = self.job(*on) else { continue };
            let cut = |(first, last, so_far): (u32, u32, Verdict)| {
                let of = of_tasks(on, edge.when, first, last).into_iter();
                of.map(move |(first, last, verdict)| (first, last, so_far.and(verdict)))
            };
            pieces = pieces.into_iter().flat_map(cut).collect();
        }
        for (first, last, verdict) in pieces {
            verdicts.entry(verdict).or_insert_with(IndexSet::new).insert(first, last);
        }
        verdicts
    }

    /// Tasks of a job that were stopped via these of another.
    fn stopped_via(&self, id: JobId, on: JobId, indices: &IndexSet) -> IndexSet {
        let Some(ties) = self.job(id).map(|job| &job.ties) else { return IndexSet::new() };
        let each = ties.after.get(&on).is_some_and(|edge| edge.each);
        let sets = ties.through.range((on, JobId(0))..=(on, JobId(u64::MAX)));
        let sets = sets.flat_map(|(_, set)| set.ranges());
        if !each {
            return sets.collect();
        }
        sets.flat_map(|(first, last)| indices.within(first, last)).collect()
    }
}

/// What the end of a whole job means for those that wait for it.
fn of_job(on: &Job, when: When) -> Verdict {
    let via = on.id;
    match when {
        When::Any => Verdict::Run,
        When::Fail if on.count_where(is_failing) > 0 => Verdict::Run,
        When::Fail => Verdict::Skip { via, root: via },
        When::Ok if on.count_where(TaskState::is_failure) > 0 => {
            let is_own = on.count_where(|state| state.is_failure() && state != TaskState::Aborted);
            let root = if is_own > 0 { via } else { root(on, TaskState::Aborted) };
            Verdict::Abort { via, root }
        }
        When::Ok if on.count(TaskState::Succeeded) > 0 => Verdict::Run,
        When::Ok => Verdict::Skip { via, root: root(on, TaskState::Skipped) },
    }
}

/// From where the first task came into this state that was stopped.
fn root(on: &Job, state: TaskState) -> JobId {
    let set = on.set(state);
    let is = |stopped: &IndexSet| stopped.ranges().any(|(a, b)| set.within(a, b).next().is_some());
    let found = on.ties.through.iter().find(|(_, stopped)| is(stopped));
    found.map_or(on.id, |((_, root), _)| *root)
}

/// What the ends of tasks mean for the tasks of the same indices, in pieces.
fn of_tasks(on: &Job, when: When, first: u32, last: u32) -> Vec<(u32, u32, Verdict)> {
    let via = on.id;
    let mut pieces = Vec::new();
    for (state, set) in on.sets() {
        let verdict = match when {
            _ if !state.is_ended() => Verdict::Open,
            When::Any => Verdict::Run,
            When::Fail if is_failing(state) => Verdict::Run,
            When::Fail => Verdict::Skip { via, root: via },
            When::Ok if state == TaskState::Succeeded => Verdict::Run,
            When::Ok if state == TaskState::Skipped => Verdict::Skip { via, root: via },
            When::Ok => Verdict::Abort { via, root: via },
        };
        for (first, last) in set.within(first, last) {
            let is_passed_on = matches!(state, TaskState::Aborted | TaskState::Skipped);
            if when == When::Ok && is_passed_on {
                by_root(on, (first, last), verdict, &mut pieces);
            } else {
                pieces.push((first, last, verdict));
            }
        }
    }
    pieces
}

/// The same verdict over a range whose tasks were stopped themselves, with where that came from.
fn by_root(on: &Job, range: (u32, u32), verdict: Verdict, pieces: &mut Vec<(u32, u32, Verdict)>) {
    let mut own = IndexSet::from_iter([range]);
    for ((_, from), stopped) in &on.ties.through {
        let verdict = match verdict {
            Verdict::Abort { via, .. } => Verdict::Abort { via, root: *from },
            Verdict::Skip { via, .. } => Verdict::Skip { via, root: *from },
            other => other,
        };
        for (first, last) in stopped.within(range.0, range.1) {
            pieces.push((first, last, verdict));
            own.remove(first, last);
        }
    }
    pieces.extend(own.ranges().map(|(first, last)| (first, last, verdict)));
}
