//! A model of which messages get lost above the sessions: for show, and for tests.

use dx_agents::rng::Rng;

use super::{Gap, RingModel, Stage};
use crate::batch::BatchId;
use crate::marks::Marks;
use crate::message::{ModelMessage, Pending};
use crate::view::View;

/// See the module. What goes between members about views is not lost.
#[derive(Debug)]
pub struct Lossy<M> {
    model: M,
    share: f64,
    rng: Rng,
}

/// A model cannot have its messages lost.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// It counts on its sessions: each loss would be taken for that of a session.
    #[error("this model sends nothing again: lose nothing of it, or take confirmed")]
    CountsOnSessions,
    /// Nothing would get through, or it is no share.
    #[error("a share of {0} cannot be lost: take one of at least 0, and below 1")]
    NoShare(f64),
}

impl<M: RingModel> Lossy<M> {
    /// Loses this share of what `model` sends, each receiver's on its own; which, `seed` says.
    ///
    /// # Errors
    /// If the model does not send again, or too much is to be lost.
    pub fn new(model: M, share: f64, seed: u64) -> Result<Self, LossError> {
        if !(0.0..1.0).contains(&share) {
            return Err(LossError::NoShare(share));
        }
        if share > 0.0 && !model.survives_losses() {
            return Err(LossError::CountsOnSessions);
        }
        Ok(Self { model, share, rng: Rng::new(seed) })
    }

    /// Calls the model, and loses some of what it sends.
    fn with<T>(
        &mut self,
        stage: &mut Stage<'_>,
        act: impl FnOnce(&mut M, &mut Stage<'_>) -> T,
    ) -> T {
        let before = std::mem::take(&mut stage.sends);
        let done = act(&mut self.model, stage);
        for (to, _) in &mut stage.sends {
            to.retain(|_| self.rng.unit() >= self.share);
        }
        stage.sends.splice(0..0, before);
        done
    }
}

impl<M: RingModel> RingModel for Lossy<M> {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        self.with(stage, RingModel::begin);
    }

    fn message(
        &mut self,
        from: dx_agents::AgentId,
        message: ModelMessage,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        self.with(stage, |model, stage| model.message(from, message, stage))
    }

    fn pump(&mut self, stage: &mut Stage<'_>) {
        self.with(stage, RingModel::pump);
    }

    fn announce(&mut self, stage: &mut Stage<'_>) -> bool {
        // Not announced is what may have been lost: the core says it, too.
        self.with(stage, RingModel::announce) && self.share == 0.0
    }

    fn deliverable(&self, view: &View, marks: &Marks) -> u64 {
        self.model.deliverable(view, marks)
    }

    fn pending(&self) -> Vec<Pending> {
        self.model.pending()
    }

    fn order(&self, view: &View, pending: Vec<Pending>) -> Vec<BatchId> {
        self.model.order(view, pending)
    }

    fn survives_losses(&self) -> bool {
        self.model.survives_losses()
    }
}
