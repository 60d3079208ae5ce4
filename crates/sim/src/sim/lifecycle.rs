//! How agents fail, begin anew and end.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dx_agents::event::Event;
use dx_agents::runtime::{Condition, Reason};
use dx_agents::{AskError, Down, Instant, Recovered, Restart};

use super::Sim;
use crate::mailbox::Letter;
use crate::schedule::Due;
use crate::trace::{Happened, What};

impl Sim {
    /// The agent panicked.
    pub(super) fn failed(&mut self, slot: u32) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let to = resident.cell.id();
        self.trace.note(Happened { at: self.now, to, what: What::Panicked, detail: 0, payload: 0 });
        self.tell_deed(to, "panics");
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let now = Instant(self.nodes[resident.node as usize].clock.at(self.now));
        match resident.failures.failed(&resident.plan.options.restart, now) {
            None => self.end(slot, Down::Panicked),
            Some(wait) => self.restart_after(slot, wait),
        }
    }

    /// The agent stopped by itself.
    pub(super) fn stopped(&mut self, slot: u32) {
        let Some(resident) = self.resident(slot) else { return };
        if resident.condition != Condition::Working {
            // It said so twice in one step.
            return;
        }
        match resident.plan.options.restart {
            Restart::Always { backoff } => self.restart_after(slot, backoff),
            _ => self.end(slot, Down::Stopped),
        }
    }

    fn restart_after(&mut self, slot: u32, wait: Duration) {
        let Some(resident) = self.resident_mut(slot) else { return };
        resident.condition = Condition::Restarting;
        self.unwatch_all(slot);
        self.empty(slot, Down::Restarted);
        let at = self.after(wait);
        self.schedule.add(at, Due::Restart { slot }, &mut self.choices);
    }

    /// The wait is over: a new agent takes the place of the one that failed.
    pub(super) fn revive(&mut self, slot: u32) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let (place, id, plan) =
            (resident.node, resident.cell.id(), std::sync::Arc::clone(&resident.plan));
        let made = catch_unwind(AssertUnwindSafe(|| {
            let agent = (plan.factory)();
            let state = agent.shared_state();
            (agent, state)
        }));
        let Ok((agent, state)) = made else { return self.failed(slot) };
        if let (Some(stage), Some(state)) = (&mut resident.stage, state) {
            stage.restart(state);
        }
        let node = &mut self.nodes[place as usize];
        resident.cell.restart(agent, node.cx.effects());
        resident.condition = Condition::Working;
        let recovered = match &node.journaling {
            Some(journal) => journal.recall(id),
            None => Recovered::default(),
        };
        resident.mailbox.begin(recovered);
        self.carry_out(slot, place);
        self.wake(slot);
    }

    /// The agent has ended for good.
    pub(super) fn end(&mut self, slot: u32, why: Down) {
        let Some(resident) = self.resident_mut(slot) else { return };
        resident.condition = Condition::Lingering(why);
        self.unwatch_all(slot);
        self.empty(slot, why);
    }

    /// Removes an agent that has ended, once nothing of it waits for the journal.
    pub(super) fn linger(&mut self, slot: u32, place: u32) {
        let Some(resident) = self.resident(slot) else { return };
        if resident.is_here() || resident.cell.is_behind() {
            return;
        }
        let (id, has_persisted) = (resident.cell.id(), resident.cell.has_persisted());
        self.agents[slot as usize] = None;
        self.unsettle(place, id, slot);
        self.nodes[place as usize].slots.retain(|at| *at != slot);
        if has_persisted {
            self.leave_journal(place, id);
        }
    }

    /// Its mailbox is emptied, and those who watch it are told.
    fn empty(&mut self, slot: u32, why: Down) {
        let Some(resident) = self.resident_mut(slot) else { return };
        let (place, id) = (resident.node, resident.cell.id());
        let (messages, waiting) = resident.mailbox.discard();
        let watchers = if resident.is_here() {
            resident.watchers.clone()
        } else {
            std::mem::take(&mut resident.watchers)
        };
        self.bury_letters(place, slot, messages, why);
        for agent in waiting {
            self.tell_on(place, agent, Event::Writable(id));
        }
        for watcher in watchers {
            self.tell_down(place, watcher, id, why);
        }
    }

    /// Messages that the agent never came to: counted, and those who asked are told.
    pub(super) fn bury_letters(
        &mut self,
        place: u32,
        slot: u32,
        letters: VecDeque<Letter>,
        why: Down,
    ) {
        let Some(id) = self.resident(slot).map(|resident| resident.cell.id()) else { return };
        let reason = if why == Down::Restarted { Reason::Restarted } else { Reason::Stopped };
        self.nodes[place as usize].bury(reason, letters.len() as u64);
        for letter in letters {
            self.tell_lost(letter.envelope.from, id, letter.hash, reason_of(why));
            if let Some(credit) = letter.credit {
                self.free(place, id, credit);
            }
            if let Some(to) = letter.envelope.reply_to() {
                self.answer(place, id, to, Err(AskError::Down(why)));
            }
        }
    }

    /// It watches nobody any more.
    fn unwatch_all(&mut self, slot: u32) {
        let Some(resident) = self.resident_mut(slot) else { return };
        let (place, me) = (resident.node, resident.cell.id());
        for who in std::mem::take(&mut resident.watching) {
            self.watch(place, me, who, false);
        }
    }
}

/// Why nobody handles what waited.
fn reason_of(why: Down) -> &'static str {
    match why {
        Down::Restarted => "lost: the receiver begins anew",
        _ => "lost: the receiver has ended",
    }
}
