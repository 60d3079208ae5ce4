//! The model `flow`: payload goes round the ring once, to the member before its origin. The last
//! member of the view gives places as payload passes it, and tells all; whoever holds payload and
//! place tells all. A majority that does is enough to deliver.
//!
//! ```text
//! payload    1 ──▶ 2 ──▶ 3 ──▶ 4         of origin 1, each link carries it once
//! places                       4 ══▶ 1 2 3
//! held       1 2 3 ══▶ all               at most once per 64 KiB and 8 members
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dx_agents::AgentId;

use super::{Gap, Hop, RingModel, Stage};
use crate::batch::{Batch, BatchId};
use crate::message::{ModelMessage, Payload};

/// See the module.
#[derive(Debug, Default)]
pub struct Flow {
    /// Payload that is to be passed on, by origin.
    queues: BTreeMap<AgentId, VecDeque<Batch>>,
    /// Origins of which a batch was passed on since the last own one.
    served: BTreeSet<AgentId>,
    /// Own batches of an earlier view that found no place there.
    again: VecDeque<Batch>,
    /// The latest batch of each origin that came in this view, or had a place before.
    latest: BTreeMap<AgentId, u64>,
    /// Places given and not told yet.
    untold: Vec<(AgentId, u64)>,
    hop: Hop,
}

impl RingModel for Flow {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        *self = Self::with_hop(self.hop.renewed());
        for seat in stage.view.roll.iter().filter(|seat| seat.is_in) {
            self.latest.insert(seat.id, stage.log.ordered(seat.id, seat.life));
        }
        let ordered = self.latest.get(&stage.me).copied().unwrap_or(0);
        self.again = stage.own.flying().filter(|batch| batch.id.sn > ordered).cloned().collect();
    }

    fn message(
        &mut self,
        from: AgentId,
        message: ModelMessage,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        match message {
            ModelMessage::Payload(payload) => self.payload(from, payload, stage),
            ModelMessage::Bind { first, ids } => bind(from, first, ids, stage),
            ModelMessage::Got { bytes, batches } => {
                self.hop.got(bytes, batches);
                Ok(())
            }
            _ => Err(Gap { from }),
        }
    }

    fn pump(&mut self, stage: &mut Stage<'_>) {
        while stage.view.len() == 1 || self.hop.is_open() {
            // An own batch goes after one of each other origin that waits (FSR's rule, DSN 2006).
            if let Some(batch) = self.next_of_others().or_else(|| self.next_own(stage)) {
                self.pass_on(batch, stage);
            } else if self.served.is_empty() {
                return;
            } else {
                self.served.clear();
            }
        }
    }

    fn announce(&mut self, stage: &mut Stage<'_>) -> bool {
        if self.untold.is_empty() {
            return false;
        }
        let ids = std::mem::take(&mut self.untold);
        let first = stage.log.end() + 1 - ids.len() as u64;
        stage.send_all(ModelMessage::Bind { first, ids });
        true
    }
}

impl Flow {
    /// One that has so much under way to its successor.
    #[must_use]
    pub fn with_hop(hop: Hop) -> Self {
        Self { hop, ..Self::default() }
    }

    fn payload(
        &mut self,
        from: AgentId,
        payload: Payload,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        let origin = payload.origin;
        let is_next = self.latest.get(&origin).is_some_and(|sn| *sn + 1 == payload.sn);
        if from != stage.view.predecessor(stage.me) || origin == stage.me || !is_next {
            return Err(Gap { from });
        }
        let Some(batch) = stage.batch(payload) else { return Err(Gap { from }) };
        self.latest.insert(origin, batch.id.sn);
        if let Some(got) = self.hop.come(&batch) {
            stage.send(from, got);
        }
        stage.log.store(batch.clone());
        self.number(batch.id, stage);
        if stage.view.successor(stage.me) != origin {
            self.queues.entry(origin).or_default().push_back(batch);
        }
        Ok(())
    }

    fn number(&mut self, id: BatchId, stage: &mut Stage<'_>) {
        if stage.view.last() == stage.me {
            stage.bind(id);
            self.untold.push((id.origin, id.sn));
        }
    }

    /// A batch to be passed on, of an origin that had no turn since the last own batch.
    fn next_of_others(&mut self) -> Option<Batch> {
        let served = &self.served;
        let mut waiting = self.queues.iter_mut().filter(|(origin, _)| !served.contains(origin));
        let (origin, batch) = waiting.find_map(|(id, queue)| Some((*id, queue.pop_front()?)))?;
        self.served.insert(origin);
        Some(batch)
    }

    fn next_own(&mut self, stage: &mut Stage<'_>) -> Option<Batch> {
        let batch = self.again.pop_front().or_else(|| stage.own.cut(stage.log.active()))?;
        self.served.clear();
        stage.log.store(batch.clone());
        self.number(batch.id, stage);
        Some(batch)
    }

    fn pass_on(&mut self, batch: Batch, stage: &mut Stage<'_>) {
        let successor = stage.view.successor(stage.me);
        if successor != stage.me {
            self.hop.send(&batch);
            stage.send(successor, ModelMessage::Payload(batch.into()));
        }
    }
}

/// The last member has given places.
fn bind(
    from: AgentId,
    first: u64,
    ids: Vec<(AgentId, u64)>,
    stage: &mut Stage<'_>,
) -> Result<(), Gap> {
    if from != stage.view.last() || first != stage.log.end() + 1 {
        return Err(Gap { from });
    }
    for (origin, sn) in ids {
        let seat = stage.view.seat(origin).ok_or(Gap { from })?;
        let id = BatchId { origin, life: seat.life, sn };
        stage.bind(id);
    }
    // It had the payload when it gave the places.
    let end = stage.log.end();
    stage.marks.set(from, end);
    Ok(())
}
