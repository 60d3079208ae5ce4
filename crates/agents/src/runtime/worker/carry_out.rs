//! Carries out the effects of a step.

use std::collections::VecDeque;
use std::vec::Drain;

use crate::cell::Cell;
use crate::effect::Effect;
use crate::event::{AskError, Envelope, Event, Outcome, RefusedBecause};
use crate::id::{AgentId, AskId, JobId};
use crate::lane::Lane;
use crate::message::Body;
use crate::runtime::alarms::{Alarm, Entry};
use crate::runtime::mailbox::{Pushed, Weighed};
use crate::runtime::resident::Resident;
use crate::runtime::routes::Route;
use crate::runtime::shared::{Delivered, Letter};
use crate::runtime::worker::Worker;
use crate::runtime::worker::next::{Next, idle_place};
use crate::shared::Job;
use crate::spec::Restart;

/// Whether the next effect is a message to `to`, too.
#[inline]
fn goes_to(rest: &Drain<'_, Effect>, to: AgentId) -> bool {
    matches!(rest.as_slice(), [Effect::Send { to: next, ask: None, .. }, ..] if *next == to)
}

impl Worker {
    /// Carries out what the last step asked for, in order.
    #[inline]
    pub(super) fn carry_out(&mut self, resident: &mut Resident) {
        match self.cx.effects()[..] {
            [] => {}
            [Effect::Send { .. }] => self.carry_out_send(resident),
            _ => self.carry_out_all(resident),
        }
    }

    /// One send is what most steps ask for that ask for anything.
    fn carry_out_send(&mut self, resident: &Resident) {
        if let Some(Effect::Send { to, ask, body }) = self.cx.effects().pop() {
            self.send(resident, to, (ask, body), true);
        }
    }

    #[inline(never)]
    fn carry_out_all(&mut self, resident: &mut Resident) {
        let mut effects = std::mem::take(self.cx.effects());
        let mut rest = effects.drain(..);
        while let Some(effect) = rest.next() {
            match effect {
                Effect::Send { to, ask: None, body } if goes_to(&rest, to) => {
                    self.send_run(resident, to, body, &mut rest);
                }
                Effect::Send { to, ask, body } if rest.as_slice().is_empty() => {
                    self.send(resident, to, (ask, body), true);
                }
                effect => self.carry_out_one(resident, effect),
            }
        }
        drop(rest);
        *self.cx.effects() = effects;
    }

    /// Several messages to one agent, one after the other: as many as there is room for at once.
    fn send_run(
        &mut self,
        resident: &Resident,
        to: AgentId,
        first: Body,
        rest: &mut Drain<'_, Effect>,
    ) {
        let mut run = std::mem::take(&mut self.run);
        run.push_back(Weighed::new(resident.id(), first));
        while goes_to(rest, to)
            && let Some(Effect::Send { body, .. }) = rest.next()
        {
            run.push_back(Weighed::new(resident.id(), body));
        }
        let has_egress = resident.stage.as_ref().is_some_and(|stage| stage.takes_egress());
        if !has_egress {
            self.send_at_once(resident.id(), to, &mut run);
        }
        for Weighed { envelope, .. } in run.drain(..) {
            self.send(resident, to, (None, envelope.body), false);
        }
        self.run = run;
    }

    /// Sends of `run`, from its front, what finds room without further ado.
    fn send_at_once(&mut self, from: AgentId, to: AgentId, run: &mut VecDeque<Weighed>) {
        match self.routes.find(to, &self.shared.routes) {
            Some(Route::Agent(_)) if self.shared.round_trip => {}
            Some(Route::Agent(mailbox)) => {
                let pushed = mailbox.push_run(run, Some(&self.handle));
                if let Delivered::WakeHere(slot) = self.shared.pushed(pushed) {
                    self.ready.push_back(slot);
                }
            }
            Some(Route::Port(_)) => {}
            None => {
                if let Some((node, remote)) = self.shared.elsewhere(to) {
                    remote.send_run(node, from, to, run);
                }
            }
        }
    }

    /// `is_last`: nothing comes after it in its step, so it may be heard next.
    #[inline]
    fn send(
        &mut self,
        resident: &Resident,
        to: AgentId,
        (ask, body): (Option<AskId>, Body),
        is_last: bool,
    ) {
        let from = resident.id();
        let may_be_next = is_last && self.may_be_next();
        let delivered = match &resident.stage {
            Some(stage) if stage.takes_egress() => {
                let letter = Letter { from, to, ask, body };
                match stage.take_out(letter, resident.plan.options.full) {
                    None => Delivered::Yes,
                    Some(letter) => Delivered::No(letter.body.lane(), RefusedBecause::Full),
                }
            }
            _ => match self.routes.find(to, &self.shared.routes) {
                Some(route) => {
                    if may_be_next
                        && let Route::Agent(mailbox) = route
                        && let Some(slot) = idle_place(mailbox, &self.handle, &self.residents)
                    {
                        let event = Event::Message(Envelope { from, ask, body });
                        self.next = Some(Next { slot, event });
                        return;
                    }
                    let letter = Letter { from, to, ask, body };
                    self.shared.deliver(route, letter, Some(&self.handle))
                }
                None => {
                    let letter = Letter { from, to, ask, body };
                    self.shared.post_elsewhere(letter, resident.plan.options.full)
                }
            },
        };
        match delivered {
            Delivered::Yes => {}
            Delivered::WakeHere(slot) => self.ready.push_back(slot),
            Delivered::No(lane, why) => self.came_back(resident, to, ask, (lane, why)),
        }
    }

    /// Tells the sender of what did not leave, or did not arrive.
    #[cold]
    fn came_back(
        &mut self,
        resident: &Resident,
        to: AgentId,
        ask: Option<AskId>,
        (lane, why): (Lane, RefusedBecause),
    ) {
        if why == RefusedBecause::Unknown {
            self.routes.forget(to);
        }
        let here = Some(&self.handle);
        let pushed = match ask {
            None => resident.mailbox.push_refusal(to, lane, why, here),
            Some(ask) => {
                let answer = Err(AskError::Refused(why));
                resident.mailbox.push_system(Event::Reply(ask, answer), here)
            }
        };
        self.told(&pushed);
    }

    #[inline]
    fn carry_out_one(&mut self, resident: &mut Resident, effect: Effect) {
        let slot = resident.slot;
        match effect {
            Effect::Send { to, ask, body } => self.send(resident, to, (ask, body), false),
            Effect::Reply { to, body } => self.answer(resident.id(), to, Ok(body)),
            Effect::SetDeadline { ask, within } => {
                self.alarms.set_deadline(within, slot, resident.id(), ask);
            }
            Effect::SetTimer { key, generation, at } => {
                self.alarms.set(at, slot, resident.id(), Alarm::Timer(key, generation));
            }
            Effect::ClearTimer { generation: 0, .. } => {}
            Effect::ClearDeadline { .. } | Effect::ClearTimer { .. } => self.clear_alarm(resident),
            Effect::Offload { job, source, work } => self.offload(resident, job, source, work),
            Effect::Persist(entry) => match &self.shared.journal {
                Some(journal) => {
                    let restarts = resident.plan.options.restart != Restart::Never;
                    journal.append(&resident.mailbox, entry, restarts);
                }
                None => unreachable!("without a journal `persist` panics in the step"),
            },
            Effect::Monitor { who } => self.watch(resident, who),
            Effect::Demonitor { who } => {
                resident.forget(who);
                self.shared.watch(resident.id(), who, false);
            }
            Effect::Spawn { id, spawn } => self.spawn(id, &spawn),
            Effect::Stop => self.stopped(resident),
            Effect::Note(name, value) => resident.mailbox.note(name, value),
        }
    }

    fn clear_alarm(&mut self, current: &Resident) {
        if self.alarms.clear_one() {
            self.clean_alarms(Some(current));
        }
    }

    /// Removes alarms that count no more. `current` is the agent whose turn it is.
    pub(super) fn clean_alarms(&mut self, current: Option<&Resident>) {
        let residents = &self.residents;
        let routes = &self.shared.routes;
        let counts = |cell: &Cell, alarm| match alarm {
            Alarm::Timer(key, generation) => cell.has_timer(key, generation),
            Alarm::Deadline(ask) => cell.has_asked(ask),
            Alarm::Restart => true,
        };
        self.alarms.clean(|entry: &Entry| match residents.get(entry.slot as usize) {
            // A port's.
            None => match (routes.find(entry.agent), entry.alarm) {
                (Some(Route::Port(inlet)), Alarm::Deadline(ask)) => inlet.awaits(ask),
                _ => false,
            },
            Some(None) => current
                .filter(|current| current.id() == entry.agent)
                .is_some_and(|current| counts(&current.cell, entry.alarm)),
            Some(Some(resident)) if resident.id() == entry.agent => {
                counts(&resident.cell, entry.alarm)
            }
            Some(Some(_)) => false,
        });
    }

    fn offload(&mut self, resident: &Resident, job: JobId, source: u64, work: Job) {
        let outcome = match &resident.stage {
            Some(stage) if stage.take_work(job, source, work) => return,
            Some(_) => Outcome::Refused,
            None => Outcome::Failed,
        };
        let pushed = resident.mailbox.push_system(Event::Done(job, outcome), Some(&self.handle));
        self.told(&pushed);
    }

    /// An agent of this worker was told something.
    pub(super) fn told(&mut self, pushed: &Pushed) {
        if let Pushed::WakeHere(slot) = pushed {
            self.ready.push_back(*slot);
        }
    }
}
