//! Batches that were received and not yet taken by the application, of all peers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::batch::Batch;
use crate::lane::{Lane, LaneConfig, LaneSet};
use crate::mesh::task_waker::TaskWaker;
use crate::mesh::waiters::{Awaited, Waiters, lock, wait_for};

/// Batches that follow each other are merged up to this many bytes: a slow consumer must not cost
/// a `Batch` per frame, and a fast one wants its messages in pieces that fit the cache.
const MERGE_BYTES: usize = 256 * 1024;

/// Where peer tasks put batches, and the application takes them.
///
/// Its memory is bounded by the credits: a peer may send no more than one window per lane ahead of
/// the application.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Per lane, the sources that have batches, in the order in which they are served.
    turns: Vec<VecDeque<usize>>,
    sources: Vec<Option<SourceState>>,
    /// The lane that `take_any` looks at first, after the control lane.
    next_lane: usize,
    waiters: Waiters,
}

#[derive(Debug)]
struct SourceState {
    queues: Vec<VecDeque<Batch>>,
    credit: Arc<Credit>,
}

impl Awaited for State {
    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }
}

impl Inbox {
    pub(crate) fn new(lanes: usize) -> Arc<Self> {
        let state = State {
            turns: (0..lanes).map(|_| VecDeque::new()).collect(),
            sources: Vec::new(),
            next_lane: 1,
            waiters: Waiters::default(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Makes room for one more peer.
    pub(crate) fn source(self: &Arc<Self>, credit: Arc<Credit>) -> Source {
        let mut state = lock(&self.state);
        let queues = state.turns.iter().map(|_| VecDeque::new()).collect();
        let source = Some(SourceState { queues, credit });
        let vacant = state.sources.iter().position(Option::is_none);
        let index = vacant.unwrap_or(state.sources.len());
        if vacant.is_none() {
            state.sources.push(None);
        }
        state.sources[index] = source;
        Source { inbox: self.clone(), index }
    }

    /// The next batch on `lane`; peers that have some take turns.
    pub(crate) fn take(&self, lane: Lane) -> Option<Batch> {
        let taken = lock(&self.state).take(lane);
        taken.map(Taken::settle)
    }

    /// The next batch: of the control lane if it has one, else of the lanes in turn.
    pub(crate) fn take_any(&self) -> Option<Batch> {
        let taken = lock(&self.state).take_any();
        taken.map(Taken::settle)
    }

    /// Waits for the next batch on `lane`.
    pub(crate) async fn recv(&self, lane: Lane) -> Batch {
        let lanes = LaneSet::only(lane);
        wait_for(&self.state, lanes, |state| state.take(lane)).await.settle()
    }

    /// Waits for the next batch on any lane.
    pub(crate) async fn recv_any(&self) -> Batch {
        wait_for(&self.state, LaneSet::ALL, State::take_any).await.settle()
    }
}

impl State {
    fn take(&mut self, lane: Lane) -> Option<Taken> {
        let index = self.turns.get_mut(lane.index())?.pop_front()?;
        let source = self.sources[index].as_mut().expect("a source leaves its turns when it goes");
        let queue = &mut source.queues[lane.index()];
        let batch = queue.pop_front().expect("a source has a turn only while it has batches");
        if !queue.is_empty() {
            self.turns[lane.index()].push_back(index);
        }
        let is_due = source.credit.consume(lane, batch.credit() as u64);
        Some(Taken { batch, wake: is_due.then(|| source.credit.driver.clone()) })
    }

    fn take_any(&mut self) -> Option<Taken> {
        if let Some(taken) = self.take(Lane::CONTROL) {
            return Some(taken);
        }
        let others = self.turns.len() - 1;
        for offset in 0..others {
            let lane = 1 + (self.next_lane - 1 + offset) % others;
            let lane = Lane(u8::try_from(lane).expect("there are at most 8 lanes"));
            if let Some(taken) = self.take(lane) {
                self.next_lane = 1 + lane.index() % others;
                return Some(taken);
            }
        }
        None
    }

    fn put(&mut self, index: usize, batch: Batch) {
        let source =
            self.sources[index].as_mut().expect("a source exists while its peer task does");
        let lane = batch.lane().index();
        let queue = &mut source.queues[lane];
        if let Some(last) = queue.back_mut().filter(|last| can_merge(last, &batch)) {
            last.append(batch);
            return;
        }
        queue.push_back(batch);
        if queue.len() == 1 {
            self.turns[lane].push_back(index);
        }
    }
}

/// Whether `next` follows `last` in the same session: numbers begin at 0 in each.
fn can_merge(last: &Batch, next: &Batch) -> bool {
    last.incarnation() == next.incarnation()
        && last.first() + last.count() == next.first()
        && last.bytes() + next.bytes() <= MERGE_BYTES
}

/// A batch on its way out, and the peer task to wake once the lock is released.
struct Taken {
    batch: Batch,
    wake: Option<Arc<TaskWaker>>,
}

impl Taken {
    fn settle(self) -> Batch {
        if let Some(driver) = self.wake {
            driver.wake();
        }
        self.batch
    }
}

/// One peer's part of the inbox.
#[derive(Debug)]
pub(crate) struct Source {
    inbox: Arc<Inbox>,
    index: usize,
}

impl Source {
    /// Puts `batches` at the end of the peer's queues; those to be woken are added to `woken`.
    pub(crate) fn push(&self, batches: &mut Vec<Batch>, woken: &mut Vec<Waker>) {
        if batches.is_empty() {
            return;
        }
        let mut state = lock(&self.inbox.state);
        let mut lanes = LaneSet::default();
        for batch in batches.drain(..) {
            lanes.insert(batch.lane());
            state.put(self.index, batch);
        }
        state.waiters.take(lanes, woken);
    }

    /// Forgets what the peer sent and the application has not taken.
    pub(crate) fn discard(&self) {
        let mut state = lock(&self.inbox.state);
        for turns in &mut state.turns {
            turns.retain(|index| *index != self.index);
        }
        let source = state.sources[self.index].as_mut().expect("a source exists until dropped");
        let discarded: Vec<_> = source.queues.iter_mut().map(std::mem::take).collect();
        drop(state);
        drop(discarded);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.discard();
        lock(&self.inbox.state).sources[self.index] = None;
    }
}

/// What the application has taken from one peer, which the session turns into credit.
#[derive(Debug)]
pub(crate) struct Credit {
    lanes: Vec<LaneCredit>,
    driver: Arc<TaskWaker>,
}

#[derive(Debug)]
struct LaneCredit {
    half_window: u64,
    consumed: AtomicU64,
    granted: AtomicU64,
}

impl Credit {
    /// Nothing taken yet; `driver` is woken when it is worth granting credit.
    pub(crate) fn new(lanes: &[LaneConfig], driver: Arc<TaskWaker>) -> Arc<Self> {
        let lane = |lane: &LaneConfig| LaneCredit {
            half_window: (lane.window_bytes / 2).max(1) as u64,
            consumed: AtomicU64::new(0),
            granted: AtomicU64::new(0),
        };
        Arc::new(Self { lanes: lanes.iter().map(lane).collect(), driver })
    }

    /// The bytes taken in all on `lane`, if half a window or more of them has not been
    /// granted yet. The caller grants them.
    pub(crate) fn take_due(&self, lane: Lane) -> Option<u64> {
        let lane = &self.lanes[lane.index()];
        let consumed = lane.consumed.load(Ordering::Relaxed);
        if consumed - lane.granted.load(Ordering::Relaxed) < lane.half_window {
            return None;
        }
        lane.granted.store(consumed, Ordering::Relaxed);
        Some(consumed)
    }

    /// Counts bytes that were taken, under the inbox's lock; says whether to wake the driver.
    fn consume(&self, lane: Lane, bytes: u64) -> bool {
        let lane = &self.lanes[lane.index()];
        let consumed = lane.consumed.fetch_add(bytes, Ordering::Relaxed) + bytes;
        consumed.saturating_sub(lane.granted.load(Ordering::Relaxed)) >= lane.half_window
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::batch::Part;
    use crate::id::{Incarnation, NodeId};

    fn lanes() -> Vec<LaneConfig> {
        let mut lanes = LaneConfig::defaults();
        for lane in &mut lanes {
            lane.window_bytes = 100;
        }
        lanes
    }

    fn inbox(sources: usize) -> (Arc<Inbox>, Vec<Source>, Vec<Arc<Credit>>) {
        let inbox = Inbox::new(3);
        let credit = || Credit::new(&lanes(), Arc::default());
        let credits: Vec<_> = (0..sources).map(|_| credit()).collect();
        let sources = credits.iter().map(|credit| inbox.source(credit.clone())).collect();
        (inbox, sources, credits)
    }

    fn batch(peer: u32, lane: Lane, first: u64, bytes: usize) -> Batch {
        Batch {
            peer: NodeId(peer),
            incarnation: Incarnation(1),
            lane,
            first,
            count: 1,
            bytes,
            credit: bytes,
            parts: vec![Part { body: Bytes::new(), is_batch: false }],
        }
    }

    fn push(source: &Source, batch: Batch) {
        source.push(&mut vec![batch], &mut Vec::new());
    }

    #[test]
    fn peers_take_turns_so_that_a_flood_starves_nobody() {
        let (inbox, sources, _) = inbox(2);
        for first in 0..3 {
            push(&sources[0], batch(1, Lane::DATA, first, MERGE_BYTES));
        }
        push(&sources[1], batch(2, Lane::DATA, 0, 1));
        let order: Vec<u32> =
            std::iter::from_fn(|| inbox.take(Lane::DATA)).map(|batch| batch.peer().0).collect();
        assert_eq!(order, [1, 2, 1, 1]);
    }

    #[test]
    fn control_comes_first_and_the_other_lanes_in_turn() {
        let (inbox, sources, _) = inbox(1);
        for first in 0..2 {
            for lane in [Lane::BULK, Lane::DATA, Lane::CONTROL] {
                push(&sources[0], batch(1, lane, first, MERGE_BYTES));
            }
        }
        let order: Vec<u8> = std::iter::from_fn(|| inbox.take_any()).map(|b| b.lane().0).collect();
        assert_eq!(order, [0, 0, 1, 2, 1, 2]);
    }

    #[test]
    fn small_batches_that_follow_each_other_are_merged_but_not_across_sessions() {
        let (inbox, sources, _) = inbox(1);
        push(&sources[0], batch(1, Lane::DATA, 0, 1));
        push(&sources[0], batch(1, Lane::DATA, 1, 1));
        push(&sources[0], batch(1, Lane::DATA, 0, 1));
        assert_eq!(inbox.take(Lane::DATA).map(|batch| batch.count()), Some(2));
        assert_eq!(inbox.take(Lane::DATA).map(|batch| batch.count()), Some(1));
    }

    #[test]
    fn credit_is_due_when_half_a_window_was_taken() {
        let (inbox, sources, credits) = inbox(1);
        push(&sources[0], batch(1, Lane::DATA, 0, 49));
        inbox.take(Lane::DATA).unwrap();
        assert_eq!(credits[0].take_due(Lane::DATA), None);
        push(&sources[0], batch(1, Lane::DATA, 1, 1));
        inbox.take(Lane::DATA).unwrap();
        assert_eq!(credits[0].take_due(Lane::DATA), Some(50));
        assert_eq!(credits[0].take_due(Lane::DATA), None);
    }

    #[test]
    fn a_source_that_goes_takes_its_batches_along() {
        let (inbox, mut sources, _) = inbox(2);
        push(&sources[0], batch(1, Lane::DATA, 0, 1));
        push(&sources[1], batch(2, Lane::DATA, 0, 1));
        drop(sources.remove(0));
        assert_eq!(inbox.take(Lane::DATA).map(|batch| batch.peer()), Some(NodeId(2)));
        assert!(inbox.take(Lane::DATA).is_none());
    }
}
