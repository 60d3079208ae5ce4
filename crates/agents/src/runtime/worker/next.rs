//! Who is next: what an agent tells another one of its thread, for which nothing waits, need not go
//! through its mailbox.

use crate::cell::Step;
use crate::event::Event;
use crate::id::AgentId;
use crate::runtime::recorder::What;
use crate::runtime::routes::Route;
use crate::runtime::worker::{TURN, Worker};

/// What an agent hears when the present turn is over, before all who are ready.
pub struct Next {
    /// Its place.
    pub slot: u32,
    pub event: Event,
}

impl Worker {
    /// The place of an agent of this worker, if it can be told something to hear next: nothing
    /// waits for it, and nobody for a turn.
    #[inline]
    pub(super) fn next_place(&mut self, to: AgentId) -> Option<u32> {
        if self.next.is_some() || !self.ready.is_empty() || self.shared.round_trip {
            return None;
        }
        self.idle_place(to)
    }

    /// The place of an agent of this worker for which nothing waits, and which can have a turn.
    #[inline]
    pub(super) fn idle_place(&mut self, to: AgentId) -> Option<u32> {
        let Some(Route::Agent(mailbox)) = self.routes.find(to, &self.shared.routes) else {
            return None;
        };
        let slot = mailbox.idle_at(&self.handle)?;
        let resident = self.residents.get(slot as usize)?.as_ref()?;
        (resident.budget(TURN) == TURN).then_some(slot)
    }

    /// The turn of an agent that hears one thing.
    #[inline]
    pub(super) fn turn_of(&mut self, Next { slot, event }: Next) {
        let mut resident = self.residents[slot as usize].take().expect(STAYS);
        self.begin_turn(&resident);
        let before = resident.cell.steps();
        self.recorder.record(self.now.0, resident.id(), What::of(&event));
        match event {
            Event::Message(envelope) => match resident.cell.hear(envelope, &mut self.cx) {
                Step::Ran => self.carry_out(&mut resident),
                step => self.finish(&mut resident, step),
            },
            event => self.step(&mut resident, event),
        }
        self.count_turn(&resident, before);
        self.end_turn(slot, resident, false);
    }

    /// What was to be heard next goes to its agent's mailbox: something else comes before its turn.
    #[cold]
    pub(super) fn leave_next(&mut self) {
        let Some(Next { slot, event }) = self.next.take() else { return };
        let mailbox = &self.residents[slot as usize].as_ref().expect(STAYS).mailbox;
        let pushed = mailbox.put_first(event, &self.handle);
        self.told(&pushed);
    }
}

/// Agents leave their places in turns of their own only.
const STAYS: &str = "an agent that is to hear something next stays where it is";
