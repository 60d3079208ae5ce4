//! The model `lcr`: R. Guerraoui, R. R. Levy, B. Pochon, V. Quéma, Throughput optimal total order
//! broadcast for cluster environments, ACM TOCS 28(2), 2010. Payload goes round the ring to the
//! member before its origin; from there, word goes round that all have it. Clocks order what all
//! have: as it passed the last member. That all must have it is what makes clocks enough: of what a
//! mere majority has, something that precedes it may be unknown.
//!
//! ```text
//! payload    1 ──▶ 2 ──▶ 3 ──▶ 4                      of origin 1, with its clock
//! stable           3 ◀── 2 ◀── 1 ◀── 4                after it, never before: 2n - 2 hops in all
//! ```
//!
//! A batch counts as seen when its turn has come to be passed on, not when it arrives: own batches
//! go between those that wait, and their clocks must say so.
//!
//! The paper's links are those of TCP: what comes over one is all that was sent before it. Here a
//! session may end within a view, and another begin. Clocks do not tell that: of two batches of which
//! neither origin had seen the other's, one precedes because it went first over each link. So links
//! are numbered, and nothing is taken that follows a loss.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dx_agents::AgentId;

use super::{Gap, Hop, RingModel, Stage};
use crate::batch::{Batch, BatchId};
use crate::marks::Marks;
use crate::message::{ModelMessage, Payload, Pending};
use crate::view::View;

/// See the module.
#[derive(Debug, Default)]
pub struct Lcr {
    /// What came from the predecessor, in this order; only own batches may go between.
    queue: VecDeque<Item>,
    /// Origins of which a batch was passed on since the last own one.
    served: BTreeSet<AgentId>,
    /// Own batches of an earlier view that found no place there.
    again: VecDeque<Batch>,
    /// How many batches and words went to the successor.
    sent: u64,
    /// How many came from the predecessor, all of the first ones.
    come: u64,
    /// The latest batch of each member that passed here, in the order of the ring.
    clock: Vec<u64>,
    /// What passed here and has no place yet, in the order of places.
    pending: VecDeque<Passed>,
    /// The last place that the view carried over.
    base: u64,
    hop: Hop,
}

#[derive(Debug)]
enum Item {
    Batch(Batch, Vec<u64>),
    Stable(BatchId),
}

/// A batch that waits for its place.
#[derive(Debug)]
struct Passed {
    id: BatchId,
    /// That of its origin in the ring.
    rank: usize,
    clock: Vec<u64>,
    is_stable: bool,
}

impl RingModel for Lcr {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        *self = Self::with_hop(self.hop.renewed());
        for seat in stage.view.roll.iter().filter(|seat| seat.is_in) {
            let sn = stage.log.ordered(seat.id, seat.life);
            self.clock.push(sn);
            if seat.id == stage.me {
                self.again = stage.own.flying().filter(|batch| batch.id.sn > sn).cloned().collect();
            }
        }
        self.base = stage.log.end();
    }

    fn message(
        &mut self,
        from: AgentId,
        message: ModelMessage,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        match message {
            ModelMessage::Clocked { nth, payload, clock } => {
                self.follows(from, nth, stage)?;
                self.payload(from, payload, clock, stage)
            }
            ModelMessage::Stable { nth, origin, sn } => {
                self.follows(from, nth, stage)?;
                let life = stage.view.seat(origin).ok_or(Gap { from })?.life;
                self.queue.push_back(Item::Stable(BatchId { origin, life, sn }));
                self.come += 1;
                Ok(())
            }
            ModelMessage::Got { bytes, batches } => {
                self.hop.got(bytes, batches);
                Ok(())
            }
            _ => Err(Gap { from }),
        }
    }

    fn pump(&mut self, stage: &mut Stage<'_>) {
        let is_alone = stage.view.len() == 1;
        loop {
            self.take_what_needs_no_room(stage);
            if !is_alone && !self.hop.is_open() {
                break;
            }
            // An own batch goes after one of each other origin that waits (FSR's rule, DSN 2006).
            let is_others_turn = self.front().is_some_and(|origin| !self.served.contains(&origin));
            if is_others_turn || !self.send_own(stage) {
                if self.front().is_none() {
                    break;
                }
                self.pass_front(stage);
            }
        }
        self.place(stage);
    }

    /// What is carried over is delivered when a majority holds it; after that, what has a place is
    /// with all.
    fn deliverable(&self, view: &View, marks: &Marks) -> u64 {
        let majority = marks.majority(view);
        if majority < self.base { majority } else { u64::MAX }
    }

    fn pending(&self) -> Vec<Pending> {
        let pending = self.pending.iter();
        pending.map(|it| Pending { id: it.id, clock: it.clock.clone() }).collect()
    }

    fn order(&self, view: &View, pending: Vec<Pending>) -> Vec<BatchId> {
        let rank = |id: AgentId| view.members().position(|it| it == id);
        let unique: BTreeMap<BatchId, Vec<u64>> =
            pending.into_iter().map(|it| (it.id, it.clock)).collect();
        let of_view = unique.into_iter().filter(|(_, clock)| clock.len() == view.len());
        let mut ranked: Vec<(usize, Vec<u64>, BatchId)> = of_view
            .filter_map(|(id, clock)| rank(id.origin).map(|rank| (rank, clock, id)))
            .collect();
        ranked.sort_by(|one, other| compare((one.0, &one.1), (other.0, &other.1)));
        ranked.into_iter().map(|(_, _, id)| id).collect()
    }
}

impl Lcr {
    /// One that has so much under way to its successor.
    #[must_use]
    pub fn with_hop(hop: Hop) -> Self {
        Self { hop, ..Self::default() }
    }

    /// Whether all that the predecessor sent before has come.
    fn follows(&self, from: AgentId, nth: u64, stage: &Stage<'_>) -> Result<(), Gap> {
        let is_next = from == stage.view.predecessor(stage.me) && nth == self.come + 1;
        if is_next { Ok(()) } else { Err(Gap { from }) }
    }

    fn payload(
        &mut self,
        from: AgentId,
        payload: Payload,
        clock: Vec<u64>,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        if payload.origin == stage.me || clock.len() != self.clock.len() {
            return Err(Gap { from });
        }
        let batch = stage.batch(payload).ok_or(Gap { from })?;
        self.come += 1;
        if let Some(got) = self.hop.come(&batch) {
            stage.send(from, got);
        }
        self.queue.push_back(Item::Batch(batch, clock));
        Ok(())
    }

    /// Passes on what is not for a full link to hold up: word of stable batches, and batches that
    /// end here.
    fn take_what_needs_no_room(&mut self, stage: &mut Stage<'_>) {
        let successor = stage.view.successor(stage.me);
        while let Some(item) = self.queue.pop_front() {
            match item {
                Item::Stable(id) => self.on_stable(id, stage),
                Item::Batch(batch, clock) if batch.id.origin == successor => {
                    let id = batch.id;
                    self.pass(batch, clock, stage);
                    self.on_stable(id, stage);
                }
                batch @ Item::Batch(..) => return self.queue.push_front(batch),
            }
        }
    }

    /// The origin of the batch whose turn it is.
    fn front(&self) -> Option<AgentId> {
        match self.queue.front()? {
            Item::Batch(batch, _) => Some(batch.id.origin),
            Item::Stable(id) => Some(id.origin),
        }
    }

    fn pass_front(&mut self, stage: &mut Stage<'_>) {
        let Some(Item::Batch(batch, clock)) = self.queue.pop_front() else { return };
        if !self.served.insert(batch.id.origin) {
            self.served.clear();
        }
        self.send(&batch, &clock, stage);
        self.pass(batch, clock, stage);
    }

    fn send_own(&mut self, stage: &mut Stage<'_>) -> bool {
        let next = self.again.pop_front().or_else(|| stage.own.cut(stage.log.active()));
        let Some(batch) = next else { return false };
        self.served.clear();
        let (id, successor) = (batch.id, stage.view.successor(stage.me));
        let mut clock = self.clock.clone();
        if let Some(own) = stage.view.members().position(|it| it == stage.me) {
            clock[own] = id.sn;
        }
        if successor == stage.me {
            self.pass(batch, clock, stage);
            self.on_stable(id, stage);
        } else {
            self.send(&batch, &clock, stage);
            self.pass(batch, clock, stage);
        }
        true
    }

    fn send(&mut self, batch: &Batch, clock: &[u64], stage: &mut Stage<'_>) {
        self.hop.send(batch);
        self.sent += 1;
        let (payload, clock) = (batch.clone().into(), clock.to_vec());
        let message = ModelMessage::Clocked { nth: self.sent, payload, clock };
        stage.send(stage.view.successor(stage.me), message);
    }

    /// A batch passes: from now on it is known here.
    fn pass(&mut self, batch: Batch, clock: Vec<u64>, stage: &mut Stage<'_>) {
        let id = batch.id;
        let Some(rank) = stage.view.members().position(|it| it == id.origin) else { return };
        self.clock[rank] = id.sn;
        stage.log.store(batch);
        let precedes = |it: &Passed| compare((it.rank, &it.clock), (rank, &clock)).is_lt();
        let at = self.pending.partition_point(precedes);
        self.pending.insert(at, Passed { id, rank, clock, is_stable: false });
    }

    /// All have it. The word begins with the member before the origin and ends at the one before
    /// that: it makes n - 1 hops.
    fn on_stable(&mut self, id: BatchId, stage: &mut Stage<'_>) {
        if let Some(passed) = self.pending.iter_mut().find(|it| it.id == id) {
            passed.is_stable = true;
        }
        let successor = stage.view.successor(stage.me);
        if successor != stage.view.predecessor(id.origin) {
            let BatchId { origin, sn, .. } = id;
            self.sent += 1;
            stage.send(successor, ModelMessage::Stable { nth: self.sent, origin, sn });
        }
    }

    fn place(&mut self, stage: &mut Stage<'_>) {
        while let Some(passed) = self.pending.pop_front_if(|it| it.is_stable) {
            stage.bind(passed.id);
        }
    }
}

/// Which of two batches passes the last member first, by the ranks of their origins and by their
/// clocks: of the origin that comes later in the ring, the clock tells whether it had seen the
/// other's.
fn compare((i, one): (usize, &[u64]), (j, other): (usize, &[u64])) -> Ordering {
    let is_first = match i.cmp(&j) {
        Ordering::Equal => return one[i].cmp(&other[i]),
        Ordering::Less => other[i] >= one[i],
        Ordering::Greater => one[j] < other[j],
    };
    if is_first { Ordering::Less } else { Ordering::Greater }
}

#[cfg(test)]
mod tests;
