//! Time goes on, one event after the other.

use std::time::Duration;

use dx_agents::event::Event;
use dx_agents::{AskError, Instant};

use super::Sim;
use crate::failure::{Failure, OUT_OF_EVENTS, PANIC};
use crate::node::Standing;
use crate::schedule::Due;

impl Sim {
    /// Lets the next thing happen. False if nothing is left that could.
    ///
    /// # Errors
    /// If something that must [always](Self::always) hold does not.
    pub fn step_once(&mut self) -> Result<bool, Failure> {
        if self.trace.events() >= self.most_events {
            let text = format!("it was cut after {} of them", self.most_events);
            return Err(self.failure_of(OUT_OF_EVENTS, text));
        }
        let Some((at, due)) = self.next_due() else { return Ok(false) };
        self.now = self.now.max(at);
        self.watch.last = self.now;
        self.happen(due);
        if self.panicked.is_some() && !self.may_panic {
            self.fail_of_panic();
        }
        // What the diagram begins with is what was looked at last.
        if self.failure.is_none() && !self.checks.is_empty() {
            self.check();
        }
        if !self.hopes.is_empty() {
            self.see();
        }
        match self.failure.take() {
            Some(failure) => Err(*failure),
            None => Ok(true),
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If something that must [always](Self::always) hold does not.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        let until = self.after(duration);
        while self.schedule.next_at().is_some_and(|at| at <= until) {
            self.step_once()?;
        }
        // Where the order is a choice, something that is due later may have come before.
        self.now = self.now.max(until);
        Ok(())
    }

    /// Lets things happen until `holds` does.
    ///
    /// # Errors
    /// If it does not `within` that time, gets [nowhere](crate::stuck) before, or something that
    /// must always hold does not. The failure says what hinders it.
    pub fn run_until(
        &mut self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Failure> {
        let until = self.after(within);
        self.begin_watch();
        loop {
            self.told(|story, _| story.look_away());
            if holds(self) {
                return Ok(());
            }
            if self.schedule.next_at().is_none_or(|at| at > until) {
                self.now = until;
                let text = format!("it did not happen within {within:?}: {}", self.stuck());
                return Err(self.failure_of(what, text));
            }
            self.step_once()?;
            if let Err(livelock) = self.watch_event() {
                let text = self.stuck_with(Some(livelock)).to_string();
                return Err(self.failure_of(what, text));
            }
        }
    }

    #[inline]
    fn happen(&mut self, due: Due) {
        if let Some(place) = self.stands_still(&due) {
            self.nodes[place as usize].late.push(due);
            return;
        }
        match due {
            Due::Core { node, life, slot } => self.core(node, life, slot),
            Due::Timer { slot, key, generation, at } => {
                let is_set =
                    self.resident(slot).is_some_and(|it| it.cell.has_timer(key, generation));
                if is_set && self.is_time(slot, at, due) {
                    self.tell_slot(slot, Event::Timer { key, generation });
                }
            }
            Due::Deadline { slot, ask, at } => {
                let is_open = self.resident(slot).is_some_and(|it| it.cell.has_asked(ask));
                if is_open && self.is_time(slot, at, due) {
                    self.tell_slot(slot, Event::Deadline(ask));
                }
            }
            Due::PortDeadline { port, ask } => {
                self.answer_port(port, ask, Err(AskError::Timeout));
            }
            Due::Restart { slot } => self.revive(slot),
            Due::Arrival { parcel } => self.arrive(parcel),
            Due::Work { slot, task } => self.work(slot, task),
            Due::Late { slot, number } => self.say_late(slot, number),
            Due::Commit { node, life } => self.commit(node, life),
            Due::Link { pair, turn, what } => self.link_due(pair, turn, what),
            Due::Bytes(due) => self.bytes_due(due),
            Due::Node { node, life, what } => self.node_due(node, life, what),
            Due::Fault(act) => self.fault_due(act),
        }
    }

    /// The node that cannot do it, because its process is stopped.
    #[inline]
    fn stands_still(&self, due: &Due) -> Option<u32> {
        let place = match *due {
            Due::Timer { slot, .. }
            | Due::Deadline { slot, .. }
            | Due::Restart { slot }
            | Due::Work { slot, .. }
            | Due::Late { slot, .. } => self.resident(slot)?.node,
            Due::Core { node, .. } | Due::Commit { node, .. } => node,
            _ => return None,
        };
        let standing = self.nodes[place as usize].standing;
        matches!(standing, Standing::Paused(_) | Standing::Suspended(_)).then_some(place)
    }

    /// Whether the clock of an agent's node shows `at`. If it does not yet, because it slept or
    /// runs slower since, `due` comes again when it will.
    fn is_time(&mut self, slot: u32, at: u64, due: Due) -> bool {
        let Some(resident) = self.resident(slot) else { return false };
        let clock = &self.nodes[resident.node as usize].clock;
        if clock.at(self.now) >= at {
            return true;
        }
        let when = clock.when(Instant(at), self.now);
        self.schedule.add(when, due, &mut self.choices);
        false
    }

    fn tell_slot(&mut self, slot: u32, event: Event) {
        if let Some(resident) = self.resident_mut(slot) {
            resident.mailbox.tell(event);
            self.wake(slot);
        }
    }

    fn check(&mut self) {
        let mut checks = std::mem::take(&mut self.checks);
        let mut failed = None;
        for check in &mut checks {
            self.told(|story, _| story.look_away());
            let looked_at = (check.holds)(self);
            check.has_held |= looked_at.is_ok();
            check.has_failed |= looked_at.is_err();
            if let Err(text) = looked_at {
                failed = Some((check.name.clone(), text));
                break;
            }
        }
        self.checks = checks;
        if let Some((name, text)) = failed {
            self.fail(&name, text);
        }
    }

    #[cold]
    fn fail_of_panic(&mut self) {
        self.told(|story, _| story.look_away());
        if let Some(text) = self.panicked().map(|(who, text)| format!("{who}: {text}")) {
            self.fail(PANIC, text);
        }
    }

    /// The run has failed; the first reason counts.
    pub(crate) fn fail(&mut self, what: &str, text: String) {
        if self.failure.is_none() {
            self.failure = Some(Box::new(self.failure_of(what, text)));
        }
    }

    pub(crate) fn failure_of(&self, what: &str, text: String) -> Failure {
        Failure {
            what: what.to_owned(),
            text,
            seed: self.config.seed,
            at: Duration::from_nanos(self.now),
            events: self.trace.events(),
            trace: self.trace.hash(),
            tape: self.choices.tape().map(Box::new),
        }
    }
}
