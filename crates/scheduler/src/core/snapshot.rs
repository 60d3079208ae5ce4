//! The state as bytes: all that a replay of every batch would come to.
//!
//! ```text
//! version | part* | end          part: length (4 bytes, little-endian) | value
//! parts:    head | job, rows* ... per job | waits
//! ```
//! Values are encoded as messages are, rows with 20 bytes each. What follows from the rest is left
//! out: queues, counters, times that are due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dx_agents::NodeId;
use dx_transport::codec::{self, MAX_ENCODED};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::amounts::Amounts;
use super::event::Ranges;
use super::graph::mark;
use super::job::{Deed, Job, Note};
use super::node::{Drained, Hold, Node, Offer, Quarantine};
use super::packed::Packed;
use super::rows::encoded;
use super::state::State;
use super::submit::bytes_of;
use super::waits::{Stage, Wait};
use crate::end::TaskState;
use crate::id::{AttemptId, JobId, Term};

/// The version of snapshots; their first byte.
const VERSION: u8 = 3;

/// An earlier one, which is read, too: nothing in it waits.
const WITHOUT_WAITS: u8 = 2;

/// Rows of a part.
const PART: usize = 100_000;

/// A snapshot is not understood: it is damaged, or of another version of the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It begins with another version.
    #[error("it is of version {found:?}, and this program reads {VERSION}")]
    Version {
        /// Its first byte, if it has one.
        found: Option<u8>,
    },
    /// It is shorter than it says, or goes on after its end.
    #[error("its parts do not make up its length")]
    Length,
    /// A part is not what should be there.
    #[error("a part of it is not understood: {0}")]
    Part(String),
}

#[derive(Serialize, Deserialize)]
struct Head {
    term: Term,
    at: u64,
    last_job: u64,
    jobs: u64,
    nodes: Vec<(NodeId, NodeShape)>,
}

#[derive(Serialize, Deserialize)]
struct NodeShape {
    shim: Option<u64>,
    gone: u64,
    offer: Option<Offer>,
    drained: Option<Drained>,
    quarantine: Option<Quarantine>,
    faults: u32,
    rounds: u32,
    next: u64,
    /// Attempts, when each was given, whether it counts as used, and whether it has begun.
    open: Vec<(AttemptId, u64, bool, bool)>,
}

#[derive(Serialize, Deserialize)]
struct JobShape {
    id: JobId,
    json: Arc<str>,
    by: String,
    submitted: u64,
    opened: u64,
    priority: i32,
    started: Option<u64>,
    ended: Option<u64>,
    is_unwanted: bool,
    sets: Vec<(TaskState, Ranges)>,
    due: Vec<(u32, u64)>,
    earlier: BTreeMap<u32, VecDeque<Packed>>,
    notes: Vec<((u32, u32), Note)>,
    deeds: VecDeque<Deed>,
    through: Vec<((JobId, JobId), Ranges)>,
    depth: u32,
    freed: u64,
    caller: Option<AttemptId>,
    level: u32,
    rows: u64,
}

impl State {
    /// It as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let nodes = self.nodes.iter().map(|(id, node)| (*id, node_shape(node))).collect();
        let (term, at, last_job) = (self.term, self.at, self.last_job);
        put(&mut out, &Head { term, at, last_job, jobs: self.jobs.len() as u64, nodes });
        for job in self.jobs.values() {
            put(&mut out, &job_shape(job));
            let mut rows = job.rows.from(0).peekable();
            while rows.peek().is_some() {
                let part = encoded::encode(rows.by_ref().take(PART));
                put_bytes(&mut out, &part);
            }
        }
        let waits: Vec<(AttemptId, Wait)> =
            self.waits.iter().map(|(attempt, wait)| (attempt, wait.clone())).collect();
        put(&mut out, &waits);
        out
    }

    /// It from bytes.
    ///
    /// # Errors
    /// If they are no snapshot of this version.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Some((&version @ (VERSION | WITHOUT_WAITS), mut rest)) = bytes.split_first() else {
            return Err(SnapshotError::Version { found: bytes.first().copied() });
        };
        let head: Head = take(&mut rest)?;
        let mut state =
            Self { term: head.term, at: head.at, last_job: head.last_job, ..Self::default() };
        for _ in 0..head.jobs {
            let job = restore_job(&mut rest)?;
            state.put_job(job);
        }
        for (id, shape) in head.nodes {
            let node = restore_node(shape, &state)?;
            state.nodes.insert(id, node);
        }
        if version != WITHOUT_WAITS {
            state.put_waits(take(&mut rest)?)?;
        }
        rest.is_empty().then_some(state).ok_or(SnapshotError::Length)
    }

    /// Puts in what waits for jobs; its job and node are in.
    fn put_waits(&mut self, waits: Vec<(AttemptId, Wait)>) -> Result<(), SnapshotError> {
        for (attempt, wait) in waits {
            let row = self.open_row(attempt).map(|(_, row)| row.last.life().node);
            let node = row.and_then(|node| self.nodes.get_mut(&node));
            let Some(node) = node else {
                return Err(SnapshotError::Part(format!("{attempt} waits, and is not open")));
            };
            if matches!(wait.stage, Stage::Blocked(_)) {
                node.block_again(attempt);
            }
            self.waits.put(attempt, wait);
        }
        Ok(())
    }

    /// Puts in a job, and what follows from it; those that it is tied to are in.
    fn put_job(&mut self, job: Job) {
        self.unended += job.count_where(|state| !state.is_ended());
        self.job_bytes += bytes_of(&job.json);
        self.rows += job.rows.len();
        if let Some(id) = &job.spec.request_id {
            self.requests.insert((job.by.clone(), id.clone()), job.id);
        }
        if let Some(at) = job.ended {
            self.ended.insert((at, job.id));
        }
        self.queue.refresh(&job);
        self.dues.refresh(&job);
        let id = job.id;
        self.jobs.insert(id, job);
        self.tie(id);
    }
}

fn node_shape(node: &Node) -> NodeShape {
    let open = node.open.iter().map(|(id, hold)| (*id, hold.at, hold.is_charged, hold.has_begun));
    NodeShape {
        shim: node.shim,
        gone: node.gone,
        offer: node.offer.clone(),
        drained: node.drained.clone(),
        quarantine: node.quarantine.clone(),
        faults: node.faults,
        rounds: node.rounds,
        next: node.next,
        open: open.collect(),
    }
}

fn restore_node(shape: NodeShape, state: &State) -> Result<Node, SnapshotError> {
    let wrong = |what: String| SnapshotError::Part(what);
    let capacity = match &shape.offer {
        Some(offer) => {
            let offered = serde_json::from_str::<crate::job::Resources>(&offer.capacity);
            (&offered.map_err(|error| wrong(error.to_string()))?).into()
        }
        None => Amounts::default(),
    };
    let mut node = Node {
        shim: shape.shim,
        gone: shape.gone,
        offer: shape.offer,
        capacity,
        drained: shape.drained,
        quarantine: shape.quarantine,
        faults: shape.faults,
        rounds: shape.rounds,
        next: shape.next,
        ..Node::default()
    };
    for (attempt, at, is_charged, has_begun) in shape.open {
        let job = state.job(attempt.task.job);
        let job = job.ok_or_else(|| wrong(format!("{attempt} is of no job")))?;
        let need = Arc::new(job.need.clone());
        let is_blocked = false;
        node.hold(attempt, Hold { at, is_charged, has_begun, is_blocked, need });
    }
    Ok(node)
}

fn job_shape(job: &Job) -> JobShape {
    JobShape {
        id: job.id,
        json: Arc::clone(&job.json),
        by: job.by.clone(),
        submitted: job.submitted,
        opened: job.opened,
        priority: job.priority,
        started: job.started,
        ended: job.ended,
        is_unwanted: job.is_unwanted,
        sets: job.sets().map(|(state, set)| (state, set.ranges().collect())).collect(),
        due: job.due.iter().collect(),
        earlier: job.earlier.clone(),
        notes: job.notes.iter().map(|(of, note)| (*of, note.clone())).collect(),
        deeds: job.deeds.clone(),
        through: job.ties.through.iter().map(|(by, set)| (*by, set.ranges().collect())).collect(),
        depth: job.ties.depth,
        freed: job.ties.freed,
        caller: job.ties.caller,
        level: job.ties.level,
        rows: job.rows.len(),
    }
}

fn restore_job(rest: &mut &[u8]) -> Result<Job, SnapshotError> {
    let shape: JobShape = take(rest)?;
    let spec = serde_json::from_str(&shape.json);
    let spec = spec.map_err(|error| SnapshotError::Part(error.to_string()))?;
    let mut job = Job::new(shape.id, spec, shape.json, shape.by, shape.submitted);
    (job.opened, job.priority) = (shape.opened, shape.priority);
    (job.started, job.ended) = (shape.started, shape.ended);
    job.is_unwanted = shape.is_unwanted;
    for (index, at) in shape.due {
        job.due.set(index, at);
    }
    (job.earlier, job.deeds) = (shape.earlier, shape.deeds);
    job.notes = shape.notes.into_iter().collect();
    let through = shape.through.into_iter();
    job.ties.through = through.map(|(by, ranges)| (by, ranges.into_iter().collect())).collect();
    (job.ties.depth, job.ties.freed) = (shape.depth, shape.freed);
    (job.ties.caller, job.ties.level) = (shape.caller, shape.level);
    if job.ties.caller.is_some() {
        job.ties.mark = mark(&job.spec);
    }
    let mut left = shape.rows;
    while left > 0 {
        let rows = encoded::decode(take_bytes(rest)?).map_err(SnapshotError::Part)?;
        left =
            left.checked_sub(rows.len() as u64).filter(|_| !rows.is_empty()).ok_or_else(|| {
                SnapshotError::Part(format!("the rows of job {} are not as many as it has", job.id))
            })?;
        for (rank, row) in rows {
            job.restore_row(rank, row).ok_or_else(|| {
                SnapshotError::Part(format!("job {} has no task of rank {rank}", job.id))
            })?;
        }
    }
    job.restore_sets(shape.sets);
    Ok(job)
}

fn put<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let bytes = codec::encode(value, MAX_ENCODED).expect("a job's bounds keep it below this");
    put_bytes(out, &bytes);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("a part is far shorter");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, SnapshotError> {
    codec::decode(take_bytes(rest)?).map_err(|error| SnapshotError::Part(error.to_string()))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let (len, after) = rest.split_first_chunk().ok_or(SnapshotError::Length)?;
    let len = u32::from_le_bytes(*len) as usize;
    let (bytes, after) = after.split_at_checked(len).ok_or(SnapshotError::Length)?;
    *rest = after;
    Ok(bytes)
}
