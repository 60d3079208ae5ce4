//! What must be so of every state, counted from its tasks alone.

use std::collections::{BTreeMap, BTreeSet};

use super::amounts::Amounts;
use super::due::Dues;
use super::graph::Graph;
use super::job::Job;
use super::queue::Queue;
use super::ranges::IndexSet;
use super::state::State;
use super::submit::bytes_of;
use super::waits::{Stage, Waits};
use crate::end::TaskState;
use crate::id::{AttemptId, JobId, ShimId};

impl State {
    /// Whether it is as it must be. Looks at every task: for tests, and whoever doubts a journal.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let mut open = BTreeMap::new();
        let (mut queue, mut dues) = (Queue::default(), Dues::default());
        for job in self.jobs.values() {
            check_job(job, &mut open)?;
            queue.refresh(job);
            dues.refresh(job);
        }
        same("the queue", &self.queue, &queue)?;
        same("the times that are due", &self.dues, &dues)?;
        let jobs = self.jobs.values();
        let unended = jobs.clone().map(|job| job.count_where(|state| !state.is_ended())).sum();
        same("tasks that have not ended", &self.unended, &unended)?;
        self.check_ties()?;
        let is_free = |job: &&Job| !self.graph.is_needed(job.id);
        let ended =
            jobs.clone().filter(is_free).filter_map(|job| Some((job.ended?, job.id))).collect();
        same("jobs that have ended", &self.ended, &ended)?;
        let bytes = jobs.clone().map(|job| bytes_of(&job.json)).sum();
        same("bytes of jobs", &self.job_bytes, &bytes)?;
        let requests =
            jobs.filter_map(|job| Some(((job.by.clone(), job.spec.request_id.clone()?), job.id)));
        same("ids of requests", &self.requests, &requests.collect())?;
        self.check_waits(&open)?;
        self.check_nodes(&open)
    }

    fn check_waits(&self, open: &BTreeMap<AttemptId, ShimId>) -> Result<(), String> {
        let mut waits = Waits::default();
        for (attempt, wait) in self.waits.iter() {
            let state = self.open_row(attempt).map(|(_, row)| row.state);
            let (is_blocked, is_right) = match &wait.stage {
                Stage::Blocked(on) => {
                    let is_left =
                        |on: &JobId| self.jobs.get(on).is_some_and(|it| it.ended.is_none());
                    (true, !on.is_empty() && on.iter().all(is_left))
                }
                Stage::Returning | Stage::Over => (false, true),
            };
            let is_shown = (state == Some(TaskState::Blocked)) == (wait.stage != Stage::Over);
            let hold =
                open.get(&attempt).and_then(|shim| self.nodes.get(&shim.node)?.open.get(&attempt));
            let is_held = hold.is_some_and(|hold| hold.is_blocked == is_blocked);
            if state.is_none() || !is_right || !is_shown || !is_held {
                return Err(format!(
                    "{attempt} is {state:?}, held as {hold:?}, and waits: {wait:?}"
                ));
            }
            waits.put(attempt, wait.clone());
        }
        same("who waits for a job", &self.waits, &waits)?;
        let is_blocked = |attempt: &&AttemptId| {
            let row = self.open_row(**attempt).map(|(_, row)| row.state);
            row == Some(TaskState::Blocked) && self.waits.get(**attempt).is_none()
        };
        match open.keys().find(is_blocked) {
            Some(attempt) => Err(format!("{attempt} is blocked, and waits for nothing")),
            None => Ok(()),
        }
    }

    fn check_ties(&self) -> Result<(), String> {
        let mut graph = Graph::default();
        for job in self.jobs.values() {
            let of = |what: &str| format!("{what} of job {}", job.id);
            graph.add(job, &self.jobs);
            let after = || job.ties.after.keys().filter_map(|on| self.jobs.get(on));
            if after().any(|on| on.id >= job.id || on.ties.depth >= job.ties.depth) {
                return Err(of("the depth, or an edge upwards,"));
            }
            let barriers = job.ties.barriers().filter_map(|on| self.jobs.get(&on));
            let pending = barriers.filter(|on| on.ended.is_none()).count();
            same(&of("the jobs before"), &(job.ties.pending as usize), &pending)?;
            let mut seen = IndexSet::new();
            for ((via, _), set) in &job.ties.through {
                let is_known = job.ties.after.contains_key(via);
                let (skipped, aborted) = (job.set(TaskState::Skipped), job.set(TaskState::Aborted));
                for (first, last) in set.ranges() {
                    let stopped = skipped.within(first, last).chain(aborted.within(first, last));
                    let stopped: IndexSet = stopped.collect();
                    let is_twice = seen.within(first, last).next().is_some();
                    if !is_known || is_twice || !stopped.ranges().eq([(first, last)]) {
                        return Err(of(&format!("what stopped {first}-{last}, via job {via},")));
                    }
                    seen.insert(first, last);
                }
            }
        }
        same("the edges backwards", &self.graph, &graph)
    }

    fn check_nodes(&self, open: &BTreeMap<AttemptId, ShimId>) -> Result<(), String> {
        let mut on_nodes = BTreeMap::new();
        for (id, node) in &self.nodes {
            let mut used = Amounts::default();
            let (mut ahead, mut thought) = (BTreeMap::new(), BTreeMap::new());
            for (attempt, hold) in &node.open {
                let shim = node.life(*id).ok_or_else(|| {
                    format!("{attempt} is open on node {id}, whose shim has no life")
                })?;
                on_nodes.insert(*attempt, shim);
                if hold.is_blocked && !(hold.is_charged && hold.has_begun) {
                    return Err(format!("{attempt} is blocked, and has not begun"));
                }
                if hold.is_charged {
                    used.add(&hold.need);
                    if hold.is_blocked {
                        used.sub(&hold.need.given_up());
                    }
                    if !hold.has_begun {
                        thought.insert(hold.at, *attempt);
                    }
                } else {
                    ahead.insert(hold.at, *attempt);
                }
            }
            same(&format!("what waits on node {id}"), &node.ahead, &ahead)?;
            same(&format!("what is thought to run on node {id}"), &node.thought, &thought)?;
            same(&format!("what is used on node {id}"), &node.used, &used)?;
            let blocked = node.open.values().filter(|hold| hold.is_blocked).count();
            same(&format!("what is blocked on node {id}"), &node.blocked, &blocked)?;
            if !thought.is_empty() && !Amounts::default().leaves_room_for(&used, &node.capacity) {
                return Err(format!("node {id} has {:?}, and {used:?} is used", node.capacity));
            }
        }
        same("open attempts, by nodes and by tasks", &on_nodes, open)
    }
}

fn check_job(job: &Job, open: &mut BTreeMap<AttemptId, ShimId>) -> Result<(), String> {
    let of = |what: &str| format!("{what} of job {}", job.id);
    let mut seen = IndexSet::default();
    for (state, set) in job.sets() {
        if set.is_empty() {
            return Err(of(&format!("an empty set {state:?}")));
        }
        for (first, last) in set.ranges() {
            if seen.within(first, last).next().is_some() {
                return Err(of(&format!("two states of a task in {first}-{last}")));
            }
            seen.insert(first, last);
        }
    }
    same(&of("all tasks"), &seen, &job.indices.ranges().collect())?;
    let mut fresh = seen;
    let (mut doomed, mut started) = (0, false);
    for (rank, row) in job.rows.from(0) {
        let index = job.indices.at(rank).ok_or_else(|| of("a row without an index"))?;
        fresh.remove(index, index);
        let id = job.id.task(index).attempt(row.last.number);
        if !job.set(row.state).contains(index) {
            return Err(format!("task {} is {:?}, and not in that set", id.task, row.state));
        }
        if row.state.has_attempt() {
            open.insert(id, row.last.life());
            doomed += u64::from(row.doom.is_some());
        } else if row.doom.is_some() || row.hold {
            return Err(format!("attempt {id} is over and still to be ended"));
        } else if row.last.counts() && row.last.end().is_none() {
            return Err(format!("attempt {id} is over and has no end"));
        }
        started |= row.last.counts() && row.last.started != 0;
        let numbers: Vec<u32> = job.attempts(index).map(|it| it.number).collect();
        if !numbers.is_sorted_by(|one, two| one < two) {
            return Err(format!("the attempts of {} are numbered {numbers:?}", id.task));
        }
    }
    if !job.rows.are_settled() {
        return Err(of("a page that does not rest though all of it has ended,"));
    }
    same(&of("tasks without an attempt"), &job.fresh, &fresh)?;
    same(&of("attempts to be killed"), &job.doomed, &doomed)?;
    if started && job.started.is_none() {
        return Err(of("no start, with a task that started,"));
    }
    if job.has_ended() != job.ended.is_some() {
        return Err(of("the wrong end"));
    }
    let due: BTreeSet<u32> = job.due.iter().map(|(index, _)| index).collect();
    let waiting = job.set(TaskState::Backoff).ranges().flat_map(|(first, last)| first..=last);
    same(&of("tasks that wait for a time"), &due, &waiting.collect())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should {
        return Ok(());
    }
    Err(format!("{what}: {is:?}, and it should be {should:?}"))
}
