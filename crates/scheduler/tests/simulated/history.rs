//! What processes did, as whoever stands beside the machines sees it: the only witness that the
//! oracles trust.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use dx_agents::NodeId;
use dx_scheduler::end::End;
use dx_scheduler::id::{AttemptId, TaskId};
use dx_scheduler::job::{JobSpec, Resources};

pub type Shared = Arc<Mutex<History>>;

/// A process of a task.
#[derive(Clone, Debug)]
pub struct Process {
    pub attempt: AttemptId,
    /// The node that it ran on.
    pub node: NodeId,
    /// Its command.
    pub exec: Vec<String>,
    pub need: Resources,
    pub gpus: Vec<u32>,
    pub over: Option<Over>,
    /// When it began and ended, in the order of all such moments.
    pub began: u64,
    pub ended: Option<u64>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It came to its own end, or was killed for a reason of its own: its shim said so.
    Told(End),
    /// Its shim killed it, because its life was over.
    Fenced,
    /// The kernel did, because its shim died.
    WithShim,
    /// Its shim, or the machine, did not run when the lease ended; then the shim killed it.
    Overslept,
    /// The same, but the shim died before it woke: nobody is left to say so.
    DiedAsleep,
}

#[derive(Debug, Default)]
pub struct History {
    pub processes: Vec<Process>,
    open: BTreeSet<usize>,
    by_attempt: BTreeMap<AttemptId, usize>,
    /// Of a task, the process that lived, and the one that began meanwhile.
    pub overlaps: Vec<(usize, usize)>,
    /// Attempts that a shim could not start, with whose fault it was.
    pub unstarted: BTreeSet<AttemptId>,
    /// Attempts that shims say may have overlapped.
    pub overran: BTreeSet<AttemptId>,
    /// Of these, those whose end was taken in after that was said. A shim may also die before.
    pub heard_overran: BTreeSet<AttemptId>,
    pub dropped_logs: BTreeSet<AttemptId>,
    /// Processes that wait for jobs: whose processors and GPUs are for others.
    waiting: BTreeSet<AttemptId>,
    /// Those for which that is over, and all that they had to do.
    pub is_done: BTreeSet<AttemptId>,
    /// When the leases of shims end, in the world's time.
    pub leases: BTreeMap<NodeId, u64>,
    /// The world's time at its last event.
    pub now: u64,
    /// Processes that began or ended so far.
    moments: u64,
    /// What a node has.
    pub capacity: Resources,
    /// Lives of shims that ended with their lease, that were given up, that overslept.
    pub expired: u64,
    pub abandoned: u64,
    /// How often a shim has told something later.
    pub gathered: u64,
    pub overslept: u64,
    /// Attempts that waited in a shim for the room of others.
    pub followed: usize,
    /// The first rule that was broken.
    pub wrong: Option<String>,
}

impl History {
    pub fn begins(
        &mut self,
        attempt: AttemptId,
        node: NodeId,
        spec: &JobSpec,
        gpus: &[u32],
    ) -> usize {
        let number = self.processes.len();
        if let Some(before) = self.by_attempt.insert(attempt, number) {
            let text = format!("{attempt} runs twice: {:?}, and on {node}", self.processes[before]);
            self.breaks(text);
        }
        let open: Vec<usize> = self.open.iter().copied().collect();
        let same = open.iter().filter(|it| self.processes[**it].attempt.task == attempt.task);
        let overlaps: Vec<(usize, usize)> = same.map(|before| (*before, number)).collect();
        self.overlaps.extend(overlaps);
        let exec = spec.commands[0].exec.clone();
        let (need, gpus, began) = (spec.resources.clone(), gpus.to_vec(), self.moment());
        let process = Process { attempt, node, exec, need, gpus, over: None, began, ended: None };
        self.processes.push(process);
        self.open.insert(number);
        self.weigh(node);
        number
    }

    /// A process waits for jobs from now on.
    pub fn waits(&mut self, attempt: AttemptId) {
        self.waiting.insert(attempt);
    }

    /// It was told that this is over: it has its room, and ends.
    pub fn goes_on(&mut self, attempt: AttemptId) {
        self.waiting.remove(&attempt);
        self.is_done.insert(attempt);
        if let Some(node) = self.process(attempt).filter(|it| it.over.is_none()).map(|it| it.node) {
            self.weigh(node);
        }
    }

    /// The processes that live.
    pub fn living(&self) -> impl Iterator<Item = &Process> {
        self.open.iter().map(|it| &self.processes[*it])
    }

    pub fn ends(&mut self, number: usize, over: Over) {
        if self.open.remove(&number) {
            let ended = Some(self.moment());
            let process = &mut self.processes[number];
            (process.over, process.ended) = (Some(over), ended);
        }
    }

    fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    /// A shim died, and with it this.
    pub fn dies(&mut self, number: usize) {
        let lease = self.leases.get(&self.processes[number].node);
        let is_awake = lease.is_some_and(|end| self.now <= *end);
        self.ends(number, if is_awake { Over::WithShim } else { Over::DiedAsleep });
    }

    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The processes of a task, in the order of their beginning.
    pub fn of(&self, task: TaskId) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |it| it.attempt.task == task)
    }

    pub fn process(&self, attempt: AttemptId) -> Option<&Process> {
        self.by_attempt.get(&attempt).map(|number| &self.processes[*number])
    }

    pub fn breaks(&mut self, text: String) {
        self.wrong.get_or_insert(text);
    }

    /// No more is in use than there is.
    fn weigh(&mut self, node: NodeId) {
        let on_it = || self.open.iter().map(|it| &self.processes[*it]).filter(|it| it.node == node);
        let with_slots = || on_it().filter(|it| !self.waiting.contains(&it.attempt));
        let cpus: u32 = with_slots().map(|it| it.need.cpus.0).sum();
        let memory: u64 = on_it().map(|it| it.need.memory.0).sum();
        let gpus: Vec<u32> = with_slots().flat_map(|it| it.gpus.iter().copied()).collect();
        let distinct: BTreeSet<u32> = gpus.iter().copied().collect();
        let mut custom: BTreeMap<&String, u64> = BTreeMap::new();
        for (name, count) in on_it().flat_map(|it| &it.need.custom) {
            *custom.entry(name).or_default() += count;
        }
        let has = &self.capacity;
        let is_over = cpus > has.cpus.0
            || memory > has.memory.0
            || distinct.len() < gpus.len()
            || gpus.iter().any(|gpu| *gpu >= has.gpus)
            || custom.iter().any(|(name, count)| count > has.custom.get(*name).unwrap_or(&0));
        if is_over {
            let all: Vec<_> = on_it().cloned().collect();
            self.breaks(format!("more is in use on {node} than it has: {all:?}"));
        }
    }

    /// Two processes of a task lived at once only where a shim slept past its lease, and said so.
    pub fn judge_overlaps(&mut self) {
        for (before, after) in self.overlaps.clone() {
            let (before, after) = (&self.processes[before], &self.processes[after]);
            let (one, other) = (before.attempt, after.attempt);
            let excuse = match before.over {
                Some(Over::Overslept) if self.overran.contains(&one) => continue,
                Some(Over::DiedAsleep) => continue,
                Some(Over::Overslept) => "its shim does not say that it ran on",
                _ => "its shim was awake",
            };
            self.breaks(format!("{one} lived when {other} began, and {excuse}: {before:?}"));
            return;
        }
    }
}
