//! What people do to jobs, tasks and nodes that are there.

use std::collections::BTreeMap;

use dx_agents::NodeId;

use super::Core;
use super::event::{Doom, Event, Ranges};
use super::job::{Job, count};
use super::ranges::IndexSet;
use crate::client::{Part, RequestError, Selection};
use crate::end::TaskState;
use crate::id::JobId;

/// Tasks of jobs.
type Chosen = BTreeMap<JobId, IndexSet>;

impl Core {
    /// Ends tasks: those without an attempt at once, others when their attempts have ended.
    pub(super) fn cancel(
        &mut self,
        what: &Selection,
        now: bool,
        reason: Option<&str>,
    ) -> Result<u64, RequestError> {
        let mut changed = 0;
        let named = self.chosen(what)?;
        for (id, chosen) in self.with_called(named.clone()) {
            let job = self.state.job(id).expect("it was chosen");
            let waits = state_is(job, &chosen, |state| !state.is_ended() && !state.has_attempt());
            let runs = state_is(job, &chosen, TaskState::has_attempt);
            let undoomed = |index: &u32| {
                job.row(*index).is_some_and(|row| row.doom.is_none() || (now && !row.doom_now))
            };
            let indices = runs.iter().flat_map(|&(first, last)| first..=last).filter(undoomed);
            let runs: IndexSet = indices.map(|index| (index, index)).collect();
            let runs: Ranges = runs.ranges().collect();
            changed += count(&waits) + count(&runs);
            let with = match job.ties.caller.filter(|_| !named.contains_key(&id)) {
                Some(caller) => format!(" with task {}, which called it", caller.task),
                None => String::new(),
            };
            let said = match reason {
                Some(reason) => format!("it was cancelled{with}: {reason}"),
                None => format!("it was cancelled{with}"),
            };
            if !waits.is_empty() {
                let (state, reason) = (TaskState::Cancelled, Some(said.clone()));
                self.record(Event::Set { job: id, indices: waits, state, reason });
            }
            if !runs.is_empty() {
                let (why, reason) = (Doom::Cancel, Some(said));
                self.record(Event::Doomed { job: id, indices: runs, now, why, reason });
            }
        }
        Ok(changed)
    }

    /// Tasks with all that they called, and what these called.
    fn with_called(&self, mut left: Chosen) -> Chosen {
        let mut all = Chosen::new();
        while let Some((id, chosen)) = left.pop_first() {
            // A job's number is higher than its caller's: it comes after it.
            for child in self.state.graph.children(id, JobId(0)) {
                let Some(job) = self.state.job(child) else { continue };
                if job.ties.caller.is_some_and(|it| chosen.contains(it.task.index)) {
                    let set = left.entry(child).or_default();
                    job.indices.ranges().for_each(|(first, last)| set.insert(first, last));
                }
            }
            all.insert(id, chosen);
        }
        all
    }

    /// Opens tasks again that have ended.
    pub(super) fn retry(&mut self, what: &Selection, all: bool) -> Result<u64, RequestError> {
        let (mut changed, mut stopped) = (0, None);
        // In the order of numbers: what others wait for is open when these are looked at.
        for (id, chosen) in self.chosen(what)? {
            let job = self.state.job(id).expect("it was chosen");
            let is = |state: TaskState| if all { state.is_ended() } else { state.is_failure() };
            let mut indices = state_is(job, &chosen, is);
            for (verdict, set) in self.state.verdicts(job, &indices.iter().copied().collect()) {
                if let Some((via, root)) = verdict.stopped() {
                    stopped = stopped.or(Some(RequestError::Stopped { job: id, via, root }));
                    let rest: IndexSet = indices.into_iter().collect();
                    indices = without(rest, &set);
                }
            }
            let more = count(&indices);
            let (tasks, most) = (self.state.unended, self.config.most_tasks);
            if tasks + more > most {
                return Err(RequestError::Full { tasks, most });
            }
            if more > 0 {
                changed += more;
                self.record(Event::Reopened { job: id, indices: indices.clone() });
                self.revive(id, &indices);
            }
        }
        match stopped {
            Some(error) if changed == 0 => Err(error),
            _ => Ok(changed),
        }
    }

    /// Keeps tasks that have not started from it.
    pub(super) fn hold(&mut self, what: &Selection) -> Result<u64, RequestError> {
        let mut changed = 0;
        for (id, chosen) in self.chosen(what)? {
            let job = self.state.job(id).expect("it was chosen");
            let waits = |state| {
                matches!(state, TaskState::Queued | TaskState::Backoff | TaskState::Waiting)
            };
            let waits = state_is(job, &chosen, waits);
            let back = assigned_with_hold(job, &chosen, false);
            changed += count(&waits) + count(&back);
            if !waits.is_empty() {
                let (state, reason) = (TaskState::Held, Some("it was held".to_owned()));
                self.record(Event::Set { job: id, indices: waits, state, reason });
            }
            if !back.is_empty() {
                self.record(Event::HoldWanted { job: id, indices: back, wanted: true });
            }
        }
        Ok(changed)
    }

    /// Lets tasks run that are held.
    pub(super) fn release(&mut self, what: &Selection) -> Result<u64, RequestError> {
        let mut changed = 0;
        for (id, chosen) in self.chosen(what)? {
            let job = self.state.job(id).expect("it was chosen");
            let held = state_is(job, &chosen, |state| state == TaskState::Held);
            let back = assigned_with_hold(job, &chosen, true);
            changed += count(&held) + count(&back);
            if !held.is_empty() {
                let (state, reason) = (job.first_state(), Some("it was released".to_owned()));
                self.record(Event::Set { job: id, indices: held, state, reason });
            }
            if !back.is_empty() {
                self.record(Event::HoldWanted { job: id, indices: back, wanted: false });
            }
        }
        Ok(changed)
    }

    /// Changes the priority of jobs.
    pub(super) fn prioritise(
        &mut self,
        what: &Selection,
        priority: i32,
    ) -> Result<u64, RequestError> {
        let mut changed = 0;
        for id in self.chosen(what)?.into_keys() {
            if self.state.job(id).expect("it was chosen").priority != priority {
                changed += 1;
                self.record(Event::Prioritised { job: id, priority });
            }
        }
        Ok(changed)
    }

    /// Removes jobs that have ended; with `force`, others when they have, and ends them.
    pub(super) fn remove(&mut self, what: &Selection, force: bool) -> Result<u64, RequestError> {
        let jobs: Vec<JobId> = self.chosen(what)?.into_keys().collect();
        let runs = |id: &&JobId| !self.state.job(**id).expect("it was chosen").has_ended();
        if let Some(id) = jobs.iter().find(runs)
            && !force
        {
            return Err(RequestError::NotEnded(*id));
        }
        let is_needed = |id: &&JobId| {
            let others = self.state.graph.dependants(**id);
            others.iter().any(|it| !jobs.contains(it) && self.state.jobs[it].ended.is_none())
        };
        if let Some(id) = jobs.iter().find(is_needed) {
            return Err(RequestError::Needed(*id));
        }
        // Those that wait for others first.
        for id in jobs.iter().rev() {
            if !self.state.job(*id).expect("it was chosen").has_ended() {
                self.cancel(&Selection::job(*id), true, Some("it is to be removed"))?;
            }
            let has_ended = self.state.job(*id).expect("it was chosen").has_ended();
            let is_free = has_ended && !self.state.graph.is_needed(*id);
            self.record(if is_free { Event::Removed(*id) } else { Event::RemovalWanted(*id) });
        }
        Ok(jobs.len() as u64)
    }

    /// Gives no more work to a node, and takes back what has not started there.
    pub(super) fn drain(
        &mut self,
        node: NodeId,
        reason: Option<String>,
    ) -> Result<u64, RequestError> {
        self.known(node)?;
        let is_same = self.state.node(node).and_then(|it| it.drained.as_ref());
        if is_same.is_some_and(|it| it.reason == reason) {
            return Ok(0);
        }
        self.record(Event::Drained { node, reason });
        Ok(1)
    }

    /// Gives work to a node again.
    pub(super) fn undrain(&mut self, node: NodeId) -> Result<u64, RequestError> {
        self.known(node)?;
        let is_out = self
            .state
            .node(node)
            .is_some_and(|it| it.drained.is_some() || it.quarantine.is_some() || it.faults > 0);
        if is_out {
            self.record(Event::Undrained(node));
        }
        Ok(u64::from(is_out))
    }

    fn known(&self, node: NodeId) -> Result<(), RequestError> {
        let is_known = self.config.nodes.contains_key(&node);
        is_known.then_some(()).ok_or(RequestError::NoNode(node))
    }

    /// The tasks that a selection names, of jobs that are there.
    fn chosen(&self, what: &Selection) -> Result<Chosen, RequestError> {
        let mut chosen = Chosen::new();
        for part in &what.parts {
            self.choose(part, &what.states, &mut chosen)?;
        }
        Ok(chosen)
    }

    fn choose(
        &self,
        part: &Part,
        states: &[TaskState],
        chosen: &mut Chosen,
    ) -> Result<(), RequestError> {
        let all = (0, u32::MAX);
        let (jobs, within): (Vec<&Job>, _) = match part {
            Part::Jobs(first, last) if first <= last => {
                let jobs: Vec<&Job> =
                    self.state.jobs.range(first..=last).map(|(_, it)| it).collect();
                if jobs.is_empty() {
                    return Err(RequestError::NoJob(*first));
                }
                (jobs, all)
            }
            Part::Jobs(first, _) => return Err(RequestError::NoJob(*first)),
            Part::Tasks(job, first, last) => {
                let it = self.state.job(*job).ok_or(RequestError::NoJob(*job))?;
                if it.select((*first, *last), |_| true).is_empty() {
                    return Err(RequestError::NoTask(job.task(*first)));
                }
                (vec![it], (*first, *last))
            }
            Part::Last => {
                let last = self.state.jobs.values().next_back();
                (vec![last.ok_or(RequestError::NoJob(JobId(self.state.last_job)))?], all)
            }
            Part::Label(name, value) => {
                let has = |job: &&Job| match (job.spec.labels.get(name), value) {
                    (Some(_), None) => true,
                    (Some(has), Some(value)) => has == value,
                    (None, _) => false,
                };
                (self.state.jobs.values().filter(has).collect(), all)
            }
        };
        for job in jobs {
            let is = |state| states.is_empty() || states.contains(&state);
            let set = chosen.entry(job.id).or_default();
            for (first, last) in job.select(within, is) {
                set.insert(first, last);
            }
        }
        Ok(())
    }
}

/// Ranges of a set without those of another.
fn without(mut set: IndexSet, others: &IndexSet) -> Ranges {
    others.ranges().for_each(|(first, last)| set.remove(first, last));
    set.ranges().collect()
}

/// What of the chosen tasks is in such a state, and selected by its state.
fn state_is(job: &Job, chosen: &IndexSet, is: impl Fn(TaskState) -> bool) -> Ranges {
    let within = chosen.ranges();
    within.flat_map(|within| job.select(within, &is)).collect()
}

/// Assigned tasks of the chosen ones that are, or are not, to be held when they come back.
fn assigned_with_hold(job: &Job, chosen: &IndexSet, hold: bool) -> Ranges {
    let assigned = state_is(job, chosen, |state| state == TaskState::Assigned);
    let indices = assigned
        .iter()
        .flat_map(|&(first, last)| first..=last)
        .filter(|index| job.row(*index).is_some_and(|row| row.hold == hold && row.doom.is_none()));
    let indices: IndexSet = indices.map(|index| (index, index)).collect();
    indices.ranges().collect()
}
