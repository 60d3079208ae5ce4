//! Tasks that wait for jobs: their processors and gpus are for others, until what they wait for is
//! over.

use crate::id::AttemptId;
use crate::job::{Cpus, Resources};
use crate::message::{Report, Waiting};

use super::Runner;
use super::held::{Held, Slot};
use super::room::{Kept, Room};

impl Runner {
    /// Attempts wait, or have waited. What is said of an earlier round is late, and so is all that is
    /// said twice, but that of one which has its slot again: that this was said was not heard.
    pub(super) fn told_of_waits(&mut self, waits: &[Waiting]) {
        for &Waiting { attempt, round, is_over } in waits {
            let held = self.held.get(attempt).filter(|held| held.has_room());
            let Some((slot, before)) = held.map(|held| (held.slot, held.round)) else {
                self.tally.needless += 1;
                continue;
            };
            let is_new = round > before;
            match (slot, is_over) {
                (Slot::Own, false) if is_new => self.lend(attempt),
                (Slot::Own, true) if is_new => {
                    // It was not heard that it is blocked; or it was, by an earlier life of this
                    // agent, and others are in its slot.
                    self.lend(attempt);
                    self.want_back(attempt);
                }
                (Slot::Own, true) if round == before => {
                    self.reports.add(Report::Resumed(attempt, round));
                }
                (Slot::Lent, true) if round >= before => self.want_back(attempt),
                _ => self.tally.needless += 1,
            }
            if let Some(held) = self.held.get_mut(attempt) {
                held.round = round.max(before);
            }
        }
    }

    fn lend(&mut self, attempt: AttemptId) {
        if let Some(Held { need, gpus, .. }) = self.held.get(attempt) {
            self.room.lend(need, gpus);
        }
        self.held.set_slot(attempt, Slot::Lent);
    }

    fn want_back(&mut self, attempt: AttemptId) {
        if let Some(Held { need, gpus, .. }) = self.held.get(attempt) {
            self.room.want(need, gpus);
        }
        self.held.set_slot(attempt, Slot::Wanted(0));
    }

    /// What returns gets its slot, in its order, as far as that is free. One whose gpus another still
    /// has keeps nobody from the processors that it does not need.
    pub(super) fn resume_what_fits(&mut self) {
        let mut kept = Kept::default();
        for attempt in self.held.wanting() {
            let Some(held) = self.held.get(attempt) else { continue };
            if self.room.take_back(&held.need, &held.gpus, &mut kept) {
                self.reports.add(Report::Resumed(attempt, held.round));
                self.held.set_slot(attempt, Slot::Own);
            }
        }
    }
}

/// Nothing of an attempt is left: whatever it has of the room is free.
pub fn free(room: &mut Room, held: &Held) {
    let Held { need, gpus, slot, .. } = held;
    match slot {
        Slot::Own => return room.free(need, gpus),
        Slot::Lent => room.forget_lent(gpus),
        Slot::Wanted(_) => room.forget_wanted(need, gpus),
    }
    // The rest is not lent.
    room.free(&Resources { cpus: Cpus(0), gpus: 0, ..(**need).clone() }, &[]);
}
