//! Carries out the effects of a step, in their order.

use std::sync::Arc;

use dx_agents::effect::Effect;
use dx_agents::event::{Event, Outcome};
use dx_agents::message::Body;
use dx_agents::shared::Job;
use dx_agents::{AgentId, AskError, AskId, Instant, JobId, Refusal, RefusedBecause};

use super::Sim;
use super::deliver::{Delivered, Post};
use crate::node::CrashPoint;
use crate::schedule::Due;

impl Sim {
    pub(super) fn carry_out(&mut self, slot: u32, place: u32) {
        let life = self.nodes[place as usize].life;
        let mut effects = std::mem::take(self.nodes[place as usize].cx.effects());
        if self.liars.are_any() {
            self.twist(slot, &mut effects);
        }
        for effect in effects.drain(..) {
            self.carry_out_one(slot, place, effect);
            if self.nodes[place as usize].armed.is_some()
                && self.crashes(place, CrashPoint::AfterEffects(0))
            {
                break;
            }
        }
        effects.clear();
        let node = &mut self.nodes[place as usize];
        if node.life == life {
            // Its buffer is used again.
            *node.cx.effects() = effects;
        }
    }

    #[inline]
    pub(crate) fn carry_out_one(&mut self, slot: u32, place: u32, effect: Effect) {
        match effect {
            Effect::Send { to, ask, body } => self.send_from(slot, place, to, ask, body),
            effect => self.carry_out_special(slot, place, effect),
        }
    }

    #[inline]
    fn send_from(&mut self, slot: u32, place: u32, to: AgentId, ask: Option<AskId>, body: Body) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let (from, policy) = (resident.cell.id(), resident.plan.options.full);
        if let Some(ask) = ask {
            self.note_question(slot, ask, to);
        }
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let delivered = match &mut resident.stage {
            Some(stage) if stage.takes_egress() => match stage.take_out(to, ask, body) {
                Ok(task) => {
                    self.schedule_work(slot, task);
                    Delivered::Yes
                }
                Err(body) => Delivered::No(body.lane(), RefusedBecause::Full),
            },
            _ => self.post(place, Post { from, to, ask, body }, policy),
        };
        if let Delivered::No(lane, why) = delivered {
            self.tell_refused(place, from, ask, Refusal { to, lane, why, count: 1 });
        }
    }

    fn carry_out_special(&mut self, slot: u32, place: u32, effect: Effect) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let me = resident.cell.id();
        match effect {
            Effect::Send { to, ask, body } => self.send_from(slot, place, to, ask, body),
            Effect::Reply { to, body } => {
                self.note_answer(me);
                self.answer(place, me, to, Ok(body));
            }
            Effect::SetDeadline { ask, within } => {
                let clock = &self.nodes[place as usize].clock;
                let at = Instant(clock.at(self.now)) + within;
                let when = clock.when(at, self.now);
                let due = Due::Deadline { slot, ask, at: at.0 };
                self.schedule.add(when, due, &mut self.choices);
            }
            Effect::SetTimer { key, generation, at } => {
                let when = self.nodes[place as usize].clock.when(at, self.now);
                let due = Due::Timer { slot, key, generation, at: at.0 };
                self.schedule.add(when, due, &mut self.choices);
            }
            Effect::ClearTimer { generation: 0, .. } => {}
            Effect::ClearDeadline { ask } => {
                self.watch.questions.remove(&(slot, ask));
                self.clear_alarm();
            }
            Effect::ClearTimer { .. } => self.clear_alarm(),
            Effect::Offload { job, source, work } => self.offload(slot, job, source, work),
            Effect::Persist(entry) => self.persist(place, me, entry),
            Effect::Monitor { who } => {
                if resident.condition == dx_agents::runtime::Condition::Working {
                    resident.watching.insert(who);
                    self.watch(place, me, who, true);
                }
            }
            Effect::Demonitor { who } => {
                resident.watching.remove(&who);
                self.watch(place, me, who, false);
            }
            Effect::Spawn { id, spawn } => {
                self.told(|story, now| {
                    story.is_of_kind(id, spawn.kind());
                    story.steps(now, me, format!("spawns {id}"));
                });
                self.spawn(place, id, &spawn);
            }
            Effect::Stop => {
                self.tell_deed(me, "stops");
                self.stopped(slot);
            }
            Effect::Note(name, value) => {
                resident.notes.insert(Arc::clone(&name), value);
                self.noted(&name);
            }
        }
    }

    /// An alarm need not come. When most of them need not, they are cleaned up.
    pub(super) fn clear_alarm(&mut self) {
        if !self.schedule.clear_one() {
            return;
        }
        let (agents, ports) = (&self.agents, &self.ports);
        let cell = |slot: u32| agents[slot as usize].as_deref().map(|resident| &resident.cell);
        self.schedule.clean(|due| match *due {
            Due::Timer { slot, key, generation, .. } => {
                cell(slot).is_some_and(|cell| cell.has_timer(key, generation))
            }
            Due::Deadline { slot, ask, .. } => cell(slot).is_some_and(|cell| cell.has_asked(ask)),
            Due::PortDeadline { port, ask } => ports[port as usize].open.contains(&ask),
            _ => true,
        });
    }

    fn offload(&mut self, slot: u32, job: JobId, source: u64, work: Job) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let outcome = match &mut resident.stage {
            Some(stage) => match stage.take_work(job, source, work) {
                Some(task) => return self.schedule_work(slot, task),
                None => Outcome::Refused,
            },
            None => Outcome::Failed,
        };
        resident.mailbox.tell(Event::Done(job, outcome));
        self.wake(slot);
    }

    pub(super) fn schedule_work(&mut self, slot: u32, task: u32) {
        let took = self.config.machine.work.draw(&mut self.choices);
        let at = self.after(took);
        self.schedule.add(at, Due::Work { slot, task }, &mut self.choices);
    }

    /// Tells a local sender that its letter came back; if it was a question, as its answer.
    pub(crate) fn tell_refused(
        &mut self,
        node: u32,
        from: AgentId,
        ask: Option<AskId>,
        refusal: Refusal,
    ) {
        if let Some(ask) = ask {
            self.tell_on(node, from, Event::Reply(ask, Err(AskError::Refused(refusal.why))));
            return;
        }
        match self.seat_on(node, from) {
            Some(super::Seat::Agent(slot)) => {
                if let Some(resident) = self.resident_mut(slot) {
                    resident.mailbox.refuse(refusal.to, refusal.lane, refusal.why);
                    self.wake(slot);
                }
            }
            Some(super::Seat::Port(port)) => {
                self.hear(port, crate::port::Heard::Refused(refusal));
            }
            None => {}
        }
    }
}
