//! Steps: who is on which core of a node, and what its agent handles there.

use std::time::Duration;

use dx_agents::cell::Step;
use dx_agents::event::Event;
use dx_agents::message::BadMessage;
use dx_agents::runtime::Reason;
use dx_agents::{AskError, Down};

use super::{NOBODY, Sim};
use crate::mailbox::Next;
use crate::node::CrashPoint;
use crate::order::AGENT;
use crate::resident::Resident;
use crate::schedule::Due;
use crate::trace::{Happened, What};

impl Sim {
    pub(crate) fn resident(&self, slot: u32) -> Option<&Resident> {
        self.agents.get(slot as usize)?.as_deref()
    }

    pub(crate) fn resident_mut(&mut self, slot: u32) -> Option<&mut Resident> {
        self.agents.get_mut(slot as usize)?.as_deref_mut()
    }

    /// An agent has something to do: it waits for a core.
    #[inline]
    pub(crate) fn wake(&mut self, slot: u32) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        if resident.is_scheduled {
            return;
        }
        resident.is_scheduled = true;
        let place = resident.node;
        let node = &mut self.nodes[place as usize];
        resident.ready_since = node.fairness.now();
        node.ready.push_back(slot);
        if node.idle_cores > 0 && node.is_running() {
            node.idle_cores -= 1;
            let due = Due::Core { node: place, life: node.life, slot: NOBODY };
            self.schedule.add(self.now, due, &mut self.choices);
        }
    }

    /// A core is free: `slot` was on it.
    #[inline]
    pub(super) fn core(&mut self, place: u32, life: u32, slot: u32) {
        if self.nodes[place as usize].life != life {
            return;
        }
        if let Some(Some(resident)) = self.agents.get_mut(slot as usize) {
            resident.is_scheduled = resident.has_work();
            if resident.is_scheduled {
                let node = &mut self.nodes[place as usize];
                resident.ready_since = node.fairness.now();
                node.ready.push_back(slot);
            }
        }
        let node = &mut self.nodes[place as usize];
        if !node.is_running() || node.ready.is_empty() {
            node.idle_cores += 1;
            return;
        }
        let (among, ready) = (node.ready.len() as u64, &node.ready);
        let who = |at: u64| u64::from(ready[at as usize]) | AGENT;
        let at = self.choices.switch_among("next", among, who) as usize;
        let slot = node.ready.swap_remove_front(at).expect("it was chosen from those there are");
        if among > 1 && node.fairness.pick(among) {
            self.look_for_starved(place);
        }
        let took = self.turn(slot);
        let node = &self.nodes[place as usize];
        // It may have crashed in the step: then its cores are gone with it.
        if node.life == life {
            let at = self.now + took * u64::from(node.slowness);
            let due = Due::Core { node: place, life, slot };
            self.schedule.add(at, due, &mut self.choices);
        }
    }

    /// One step of an agent; how long it took, in nanoseconds.
    fn turn(&mut self, slot: u32) -> u64 {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return 0 };
        let place = resident.node;
        if self.crashes(place, CrashPoint::BeforeHandler) {
            return 0;
        }
        let choices = &mut self.choices;
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return 0 };
        let Some(next) = resident.mailbox.next(resident.may_work(), choices) else { return 0 };
        // At least something: else two agents that talk without end would stop the time.
        let mut took = nanos(self.config.machine.step).max(1);
        let event = match next {
            Next::Event(event) => event,
            Next::Message(letter) => {
                took += letter.weight as u64 * nanos(self.config.machine.step_per_kib) / 1024;
                let (to, from) = (resident.cell.id(), letter.envelope.from.0);
                let what = What::Message;
                let happened =
                    Happened { at: self.now, to, what, detail: from, payload: letter.hash };
                self.trace.note(happened);
                self.tell_read(slot, &letter);
                if let Some(credit) = letter.credit {
                    self.free(place, to, credit);
                }
                self.departs = self.now + took;
                self.step(slot, place, Event::Message(letter.envelope));
                self.tell_writable_of(slot);
                return took;
            }
        };
        let (what, detail) = describe(&event);
        let to = resident.cell.id();
        self.trace.note(Happened { at: self.now, to, what, detail, payload: 0 });
        self.tell_step(to, &event);
        if matches!(event, Event::Durable { .. }) && self.crashes(place, CrashPoint::AfterSync) {
            return 0;
        }
        self.departs = self.now + took;
        self.step(slot, place, event);
        self.tell_writable_of(slot);
        took
    }

    /// Carries out an event, and what the agent then asks for.
    #[inline]
    pub(super) fn step(&mut self, slot: u32, place: u32, event: Event) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let node = &mut self.nodes[place as usize];
        let is_reply = matches!(event, Event::Reply(..));
        if let Event::Down(who, Down::Stopped | Down::Panicked | Down::Unknown) = &event {
            resident.watching.remove(who);
        }
        node.clock.show(self.now);
        match resident.cell.step(event, &mut node.cx) {
            // Of what comes too late only answers are somebody's message.
            Step::Stale if is_reply => node.bury(Reason::LateAnswer, 1),
            Step::Ran | Step::Stale => {}
            Step::Rejected(bad) => node.bury(
                match bad {
                    BadMessage::WrongType { .. } => Reason::WrongType,
                    BadMessage::Malformed(_) => Reason::Malformed,
                },
                1,
            ),
            Step::Panicked(text) => {
                self.panicked.get_or_insert((resident.cell.id(), text));
                let asked = node.cx.asked();
                self.failed(slot);
                if let (Some(to), Some(resident)) = (asked, self.resident(slot))
                    && let Some(why) = resident.condition.down()
                {
                    let me = resident.cell.id();
                    self.answer(place, me, to, Err(AskError::Down(why)));
                }
            }
        }
        if self.crashes(place, CrashPoint::AfterHandler) {
            return;
        }
        if !self.nodes[place as usize].cx.effects().is_empty() {
            self.carry_out(slot, place);
        }
        self.linger(slot, place);
    }

    #[inline]
    fn tell_writable_of(&mut self, slot: u32) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let waiting = resident.mailbox.writable();
        let (place, who) = (resident.node, resident.cell.id());
        for agent in waiting {
            self.tell_on(place, agent, Event::Writable(who));
        }
    }
}

/// What the trace says of an event that is no message.
fn describe(event: &Event) -> (What, u64) {
    match event {
        Event::Start(recovered) => (What::Start, recovered.records.len() as u64),
        Event::Message(envelope) => (What::Message, envelope.from.0),
        Event::Timer { key, .. } => (What::Timer, key.0),
        Event::Deadline(ask) => (What::Deadline, ask.0.get()),
        Event::Done(job, _) => (What::Done, job.0),
        Event::Reply(ask, answer) => {
            (What::Reply, answer.as_ref().map_or(ask.0.get(), |answer| answer.from.0))
        }
        Event::Down(who, _) => (What::Down, who.0),
        Event::Refused(refusal) => (What::Refused, refusal.to.0),
        Event::Writable(to) => (What::Writable, to.0),
        Event::Durable { entries } => (What::Durable, *entries),
        Event::SnapshotWanted => (What::SnapshotWanted, 0),
        Event::Stopping { deadline } => (What::Stopping, deadline.0),
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
