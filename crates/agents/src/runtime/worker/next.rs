//! Who is next: what an agent tells another one of its thread, for which nothing waits, need not go
//! through its mailbox.

use std::sync::Arc;

use crate::event::Event;
use crate::id::AgentId;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::recorder::What;
use crate::runtime::resident::Resident;
use crate::runtime::worker::{TURN, Worker};
use crate::runtime::worker_handle::WorkerHandle;

/// What an agent hears when the present turn is over, before all who are ready.
pub struct Next {
    /// Its place.
    pub slot: u32,
    pub event: Event,
}

impl Worker {
    /// Whether what is said now can be heard next: it is said in a turn, and nobody waits for theirs.
    #[inline]
    pub(super) fn may_be_next(&self) -> bool {
        self.takes_turns && self.next.is_none() && self.ready.is_empty() && !self.shared.round_trip
    }

    /// The turn of an agent that hears one thing.
    #[inline]
    pub(super) fn turn_of(&mut self, Next { slot, event }: Next) {
        let mut resident = self.residents[slot as usize].take().expect(STAYS);
        self.begin_turn(&resident);
        let before = resident.cell.steps();
        self.recorder.record(self.now.0, resident.id(), What::of(&event));
        match event {
            Event::Message(envelope) => {
                let step = resident.cell.hear(envelope, &mut self.cx);
                self.conclude(&mut resident, step);
            }
            event => self.step(&mut resident, event),
        }
        self.count_turn(&resident, before);
        self.end_turn(slot, resident, false);
    }

    /// What was to be heard next goes to its agent's mailbox: this worker looks at what others left
    /// first.
    #[cold]
    pub(super) fn leave_next(&mut self) {
        let Some(Next { slot, event }) = self.next.take() else { return };
        let mailbox = &self.residents[slot as usize].as_ref().expect(STAYS).mailbox;
        let pushed = mailbox.put_first(event, &self.handle);
        self.told(&pushed);
    }
}

/// Whether the agent at a place is `id` and can have a whole turn. It may be another: one that has
/// moved elsewhere, and has not arrived, has still the place that it left.
#[inline]
fn hears(resident: &Resident, id: AgentId) -> bool {
    resident.id() == id && resident.budget(TURN) == TURN
}

/// The place of an agent that can hear something at once, among those of `here`.
#[inline]
pub(super) fn idle_place(
    mailbox: &Mailbox,
    here: &Arc<WorkerHandle>,
    residents: &[Option<Box<Resident>>],
) -> Option<u32> {
    let slot = mailbox.idle_at(here)?;
    let resident = residents.get(slot as usize)?.as_ref()?;
    hears(resident, mailbox.id).then_some(slot)
}

/// While agents take turns, none leaves its place but in a turn of its own.
const STAYS: &str = "an agent that is to hear something next stays where it is";
