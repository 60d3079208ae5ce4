//! What arrives from other nodes and is heard at once: by agents of the thread on which it does, for
//! which nothing waits, past their mailboxes.

use crate::id::{AgentId, AskId, ReplyTo};
use crate::message::Raw;
use crate::runtime::recorder::What;
use crate::runtime::resident::Resident;
use crate::runtime::routes::Route;
use crate::runtime::worker::next::idle_place;
use crate::runtime::worker::{CHECK_EVERY, LOOK_EVERY, SLOW_STEP, TURN, Worker, may_go_on};

/// A turn of an agent that hears what arrives, to be [ended](Worker::end_at_once) before anything else
/// is done with the worker.
#[must_use]
pub struct AtOnce {
    resident: Box<Resident>,
    /// Steps before it.
    before: u64,
    heard: usize,
}

impl Worker {
    /// Something has arrived: agents may hear it at once for as long as a step may take. After that
    /// links have their turn, and what is left waits in mailboxes.
    pub fn arrived(&mut self) {
        let now = self.shared.now();
        if self.steps_since == 0 {
            // It may have slept: that time is nobody's step.
            self.now = now;
        }
        self.at_once_until = now + SLOW_STEP;
        self.at_once = 0;
    }

    /// Begins a turn of an agent of this worker, if it can hear what has arrived. After as many
    /// steps as fit into one turn, whoever they were of, those who wait for theirs come first.
    pub fn begin_at_once(&mut self, to: AgentId) -> Option<AtOnce> {
        if self.steps_since >= CHECK_EVERY {
            self.check();
        }
        let has_had_turn = self.at_once >= TURN;
        if self.now >= self.at_once_until || (has_had_turn && !self.ready.is_empty()) {
            return None;
        }
        let Some(Route::Agent(mailbox)) = self.routes.find(to, &self.shared.routes) else {
            return None;
        };
        let slot = idle_place(mailbox, &self.handle, &self.residents)?;
        let resident = self.residents[slot as usize].take()?;
        self.begin_turn(&resident);
        Some(AtOnce { before: resident.cell.steps(), resident, heard: 0 })
    }

    /// One step of the agent. False if its turn is over.
    #[inline]
    pub fn hear_at_once(
        &mut self,
        turn: &mut AtOnce,
        (from, ask): (AgentId, Option<AskId>),
        raw: Raw<'_>,
    ) -> bool {
        let resident = &mut *turn.resident;
        let asked = ask.map(|ask| ReplyTo { agent: from, ask });
        self.recorder.record(self.now.0, resident.id(), (What::Message, from.0));
        let step = resident.cell.hear_raw((from, asked), raw, &mut self.cx);
        self.conclude(resident, step);
        turn.heard += 1;
        let heard = self.at_once + turn.heard;
        if heard.is_multiple_of(LOOK_EVERY as usize) && self.is_late() {
            resident.is_suspect = true;
            self.at_once_until = self.now;
        }
        turn.heard < TURN && !resident.is_suspect && may_go_on(resident)
    }

    /// Ends a turn.
    pub fn end_at_once(&mut self, turn: AtOnce) {
        let AtOnce { resident, before, heard } = turn;
        self.at_once += heard;
        self.count_turn(&resident, before);
        self.end_turn(resident.slot, resident, false);
    }
}
