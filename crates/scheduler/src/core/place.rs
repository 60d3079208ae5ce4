//! Which node runs what: a pure function of the state.
//!
//! Classes go in the order of the first job of each. A task goes to a node where it fits now; if
//! there is none, it may wait on one, so that the node has it when something ends there. What waits
//! first on a node has what it needs reserved: what comes later runs beside it, never instead.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, btree_set};

use dx_agents::NodeId;

use super::Config;
use super::amounts::Amounts;
use super::hear::push;
use super::job::Job;
use super::node::Node;
use super::queue::{Class, Turn};
use super::state::State;
use crate::end::TaskState;
use crate::id::ShimId;
use crate::job::{Constraint, Operator};
use crate::message::Assigned;

/// The least that may wait on a node beyond what it runs: so that a slot that becomes free finds
/// something without a round trip.
pub const LEAST_AHEAD: u64 = 1;

/// The most that may wait on a node. At 50 bytes each, and a tenth of a second at the pace that was
/// measured of nodes that run nothing real: a guess.
pub const MOST_AHEAD: u64 = 4_096;

/// A node that takes work, as it becomes while work is given out.
struct Candidate {
    id: NodeId,
    shim: ShimId,
    capacity: Amounts,
    /// In use, with what is reserved for what waits first.
    used: Amounts,
    waits: u64,
    /// See [`MOST_AHEAD`].
    most_waits: u64,
    /// What waits on it is of this class; of none, if nothing does.
    ahead: Ahead,
    runs: Vec<Assigned>,
}

#[derive(PartialEq, Eq)]
enum Ahead {
    Nothing,
    Need(Amounts),
}

/// Gives out what waits: to each node its runs. `ready` are the nodes that are here, with the
/// number of attempts that end there in a tenth of a second; `at` is the time, which may be later than
/// that of the last event.
pub fn place(
    state: &State,
    config: &Config,
    ready: &BTreeMap<NodeId, u64>,
    at: u64,
) -> Vec<(ShimId, Vec<Assigned>)> {
    let mut nodes: Vec<Candidate> =
        ready.iter().filter_map(|(id, pace)| candidate(*id, state.node(*id)?, at, *pace)).collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<Line> = state.queue.classes().map(Line::new).collect();
    while let Some(line) =
        lines.iter_mut().filter(|line| line.head.is_some()).min_by_key(|line| line.head)
    {
        let turn = line.head.expect("lines without one were left out");
        line.head = line.rest.next().copied();
        let job = state.job(turn.1).expect("what is queued is there");
        if !give_out(job, line.class, config, &mut nodes) {
            line.head = None;
        }
    }
    let given = nodes.into_iter().filter(|node| !node.runs.is_empty());
    given.map(|node| (node.shim, node.runs)).collect()
}

/// The jobs of a class that are still to be looked at.
struct Line<'a> {
    class: &'a Class,
    head: Option<Turn>,
    rest: btree_set::Iter<'a, Turn>,
}

impl<'a> Line<'a> {
    fn new((class, jobs): (&'a Class, &'a BTreeSet<Turn>)) -> Self {
        let mut rest = jobs.iter();
        Self { class, head: rest.next().copied(), rest }
    }
}

fn candidate(id: NodeId, node: &Node, at: u64, pace: u64) -> Option<Candidate> {
    let shim = node.life(id)?;
    if node.drained.is_some() || node.is_quarantined(at) {
        return None;
    }
    let mut used = node.used.clone();
    let ahead = node.first_ahead().map_or(Ahead::Nothing, |first| {
        used.add(&first.need);
        Ahead::Need((*first.need).clone())
    });
    let most_waits = pace.clamp(LEAST_AHEAD, MOST_AHEAD);
    let (capacity, waits) = (node.capacity.clone(), node.ahead.len() as u64);
    Some(Candidate { id, shim, capacity, used, waits, most_waits, ahead, runs: Vec::new() })
}

/// Gives out a job's tasks; false if not all found a node.
fn give_out(job: &Job, class: &Class, config: &Config, nodes: &mut [Candidate]) -> bool {
    let none = BTreeMap::new();
    let can_run: Vec<bool> = nodes
        .iter()
        .map(|node| {
            let labels = config.nodes.get(&node.id);
            let name = labels.map_or("", |it| it.name.as_str());
            meets(&class.constraints, name, labels.map_or(&none, |it| &it.labels))
                && Amounts::default().leaves_room_for(&class.need, &node.capacity)
        })
        .collect();
    let room = job.room();
    let mut counts = vec![0_u64; nodes.len()];
    let mut given = 0;
    while given < room {
        let Some(at) = choose(class, nodes, &can_run) else { break };
        let node = &mut nodes[at];
        if node.used.leaves_room_for(&class.need, &node.capacity) {
            node.used.add(&class.need);
        } else {
            if node.ahead == Ahead::Nothing {
                node.ahead = Ahead::Need(class.need.clone());
                node.used.add(&class.need);
            }
            node.waits += 1;
        }
        counts[at] += 1;
        given += 1;
    }
    hand_over(job, &counts, nodes);
    given == room
}

/// The node for a task: one where it fits, by the placement of its class; else the one where the
/// least waits.
fn choose(class: &Class, nodes: &[Candidate], can_run: &[bool]) -> Option<usize> {
    let able = || nodes.iter().enumerate().filter(|(at, _)| can_run[*at]);
    let fits = able().filter(|(_, node)| node.used.leaves_room_for(&class.need, &node.capacity));
    let share = |node: &Candidate| node.used.share(&node.capacity);
    let best = if class.is_packed {
        fits.min_by_key(|(at, node)| (Reverse(share(node)), *at))
    } else {
        fits.min_by_key(|(at, node)| (share(node), *at))
    };
    let waits = || {
        let room = able().filter(|(_, node)| {
            node.waits < node.most_waits
                && match &node.ahead {
                    Ahead::Nothing => true,
                    Ahead::Need(need) => *need == class.need,
                }
        });
        room.min_by_key(|(at, node)| (node.waits * 1_000 / node.most_waits, *at))
    };
    best.or_else(waits).map(|(at, _)| at)
}

/// Cuts the first queued tasks of a job into runs, so many for each node.
fn hand_over(job: &Job, counts: &[u64], nodes: &mut [Candidate]) {
    let mut queued = job.set(TaskState::Queued).ranges();
    let mut range = queued.next();
    for (node, &count) in nodes.iter_mut().zip(counts) {
        let mut left = count;
        while left > 0 {
            let (first, last) = range.expect("there are as many as there is room for");
            let number = job.row(first).map_or(1, |row| row.last.number + 1);
            let mut until = first;
            let most = first.saturating_add(u32::try_from(left - 1).unwrap_or(u32::MAX)).min(last);
            while until < most && job.row(until + 1).map_or(1, |row| row.last.number + 1) == number
            {
                until += 1;
            }
            let count = until - first + 1;
            push(&mut node.runs, Assigned { job: job.id, first, count, number });
            left -= u64::from(count);
            range = if until < last { Some((until + 1, last)) } else { queued.next() };
        }
    }
}

/// Whether a node is what constraints ask for.
pub fn meets(constraints: &[Constraint], name: &str, labels: &BTreeMap<String, String>) -> bool {
    constraints.iter().all(|constraint| is_met(constraint, name, labels))
}

/// Whether a node is what a constraint asks for.
pub fn is_met(it: &Constraint, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let label = match it.label.as_str() {
        "node" => Some(name),
        label => labels.get(label).map(String::as_str),
    };
    let Some(label) = label else { return it.operator == Operator::Ne };
    let numbers = || Some((label.parse::<f64>().ok()?, it.value.trim().parse::<f64>().ok()?));
    match it.operator {
        Operator::Eq => label == it.value,
        Operator::Ne => label != it.value,
        Operator::In => it.value.split(',').any(|value| value.trim() == label),
        Operator::Ge => numbers().is_some_and(|(label, value)| label >= value),
        Operator::Le => numbers().is_some_and(|(label, value)| label <= value),
    }
}
