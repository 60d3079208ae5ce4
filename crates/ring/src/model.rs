//! How messages get round and get their places within one view: what models differ in.
//!
//! Everything else is the same for all: views, what they carry over, who holds what, deliveries.

mod confirmed;
mod flow;
mod hop;
mod lcr;
mod lossy;

use std::time::Duration;

use dx_agents::{AgentId, Instant};

use crate::batch::{Batch, BatchId, Entry};
use crate::log::Log;
use crate::marks::Marks;
use crate::message::{ModelMessage, Payload, Pending};
use crate::own::Own;
use crate::view::View;

pub use self::confirmed::Confirmed;
pub use self::flow::Flow;
pub use self::hop::Hop;
pub use self::lcr::Lcr;
pub use self::lossy::{LossError, Lossy};

/// A model. One value of it serves one member through all views.
///
/// It is told of a view when it begins, and of nothing between two views. What it does it does to
/// the [`Stage`]: it stores payload and gives places in the log, and sends.
pub trait RingModel: Send + 'static {
    /// The view of `stage` is installed; the log holds all that it carries over. What
    /// [`Own::flying`] has without a place is to be sent again.
    fn begin(&mut self, stage: &mut Stage<'_>);

    /// A member said something in this view.
    ///
    /// # Errors
    /// If something is missing before it: then another view is needed.
    fn message(
        &mut self,
        from: AgentId,
        message: ModelMessage,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap>;

    /// Something changed: own messages may wait, a window may have opened. Sends what it can.
    fn pump(&mut self, stage: &mut Stage<'_>);

    /// It is time to tell the others how far this member is. Returns whether that was said
    /// already by something else that was sent.
    fn announce(&mut self, stage: &mut Stage<'_>) -> bool {
        let _ = stage;
        false
    }

    /// Up to which place may be delivered what is held.
    fn deliverable(&self, view: &View, marks: &Marks) -> u64 {
        marks.majority(view)
    }

    /// The view ends: what is known beside the log.
    fn pending(&self) -> Vec<Pending> {
        Vec::new()
    }

    /// Between views: the order of what members knew beside their logs, to follow these.
    fn order(&self, view: &View, pending: Vec<Pending>) -> Vec<BatchId> {
        let _ = (view, pending);
        Vec::new()
    }

    /// Whether it sends again what was lost on the way, though no session was. Others count on
    /// their sessions.
    fn survives_losses(&self) -> bool {
        false
    }
}

/// Something that was sent in this view has not come: some session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("something that {from} sent or passed on is missing")]
pub struct Gap {
    /// Who sent what came instead.
    pub from: AgentId,
}

/// What a model works on: a view, and this member's part in it.
pub struct Stage<'a> {
    /// This member.
    pub me: AgentId,
    /// The view.
    pub view: &'a View,
    /// The time.
    pub now: Instant,
    /// The order.
    pub log: &'a mut Log,
    /// This member's own messages.
    pub own: &'a mut Own,
    /// How far all are.
    pub marks: &'a mut Marks,
    /// What it sends: the receivers, and what.
    pub sends: Vec<(Vec<AgentId>, ModelMessage)>,
    /// How long to wait until [`RingModel::pump`] is called again, if it has to be.
    pub again: Option<Duration>,
}

impl Stage<'_> {
    /// Sends to one member.
    pub fn send(&mut self, to: AgentId, message: ModelMessage) {
        self.sends.push((vec![to], message));
    }

    /// Sends to all other members.
    pub fn send_all(&mut self, message: ModelMessage) {
        let me = self.me;
        let others: Vec<AgentId> = self.view.members().filter(|id| *id != me).collect();
        if !others.is_empty() {
            self.sends.push((others, message));
        }
    }

    /// The batch of a payload of this view; `None` if its origin is no member.
    #[must_use]
    pub fn batch(&self, payload: Payload) -> Option<Batch> {
        let Payload { origin, sn, cuts, bytes } = payload;
        let life = self.view.seat(origin).filter(|seat| seat.is_in)?.life;
        Some(Batch { id: BatchId { origin, life, sn }, cuts, bytes })
    }

    /// Gives the next place to a batch.
    pub fn bind(&mut self, id: BatchId) {
        self.log.append(Entry::Batch(id));
    }
}

impl From<Batch> for Payload {
    fn from(batch: Batch) -> Self {
        let Batch { id, cuts, bytes } = batch;
        Self { origin: id.origin, sn: id.sn, cuts, bytes }
    }
}
