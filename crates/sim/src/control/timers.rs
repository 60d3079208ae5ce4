//! Timers, fired by hand, and time, moved on by hand.

use dx_agents::event::Event;
use dx_agents::{AgentId, Instant, TimerKey};

use super::ControlError;
use crate::failure::Failure;
use crate::schedule::Due;
use crate::sim::{Seat, Sim};

impl Sim {
    /// The timers that an agent has set, the next one first, and what its node's clock will show.
    #[must_use]
    pub fn timers(&self, agent: AgentId) -> Vec<(TimerKey, Instant)> {
        let set = self.timers_of(agent).into_iter();
        set.map(|(at, key, _)| (key, Instant(at))).collect()
    }

    /// Fires a timer that an agent has set, before all others. Its node's clock goes ahead to where
    /// it would be, as one that runs too fast does: no timer fires early by its own clock.
    ///
    /// # Errors
    /// If it has set none, or cannot run.
    pub fn fire_timer(&mut self, agent: AgentId, key: TimerKey) -> Result<(), ControlError> {
        let none = ControlError::NoTimer { agent, key };
        let set = self.timers_of(agent).into_iter().find(|(_, it, _)| *it == key);
        let (at, _, generation) = set.ok_or(none)?;
        let Some(Seat::Agent(slot)) = self.places.get(&agent).map(|place| place.seat) else {
            return Err(none);
        };
        let place = self.resident(slot).map(|resident| resident.node).ok_or(none)?;
        let now = self.now;
        let node = &mut self.nodes[place as usize];
        if !node.is_running() {
            return Err(ControlError::CannotRun(agent));
        }
        let missing = at.saturating_sub(node.clock.at(now));
        node.clock.ahead = node.clock.ahead.wrapping_add(missing);
        self.tell_on(place, agent, Event::Timer { key, generation });
        Ok(())
    }

    /// When the next thing is due, whatever it is.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.schedule.next_at().map(Instant)
    }

    /// Lets time pass to the next thing that is due, and lets that happen and all that is due at
    /// the same instant. Gives the time, or `None` if nothing is due any more.
    ///
    /// # Errors
    /// If something that must [always](Self::always) hold does not.
    pub fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let Some(at) = self.schedule.next_at() else { return Ok(None) };
        while self.schedule.next_at().is_some_and(|next| next <= at) {
            self.step_once()?;
        }
        Ok(Some(self.now()))
    }

    /// By what its node's clock will show: that, the key and which setting of it.
    fn timers_of(&self, agent: AgentId) -> Vec<(u64, TimerKey, u64)> {
        let Some(Seat::Agent(slot)) = self.places.get(&agent).map(|place| place.seat) else {
            return Vec::new();
        };
        let Some(resident) = self.resident(slot) else { return Vec::new() };
        let late = self.nodes[resident.node as usize].late.iter();
        let mut set: Vec<_> = self
            .schedule
            .all()
            .map(|(_, due)| due)
            .chain(late)
            .filter_map(|due| match *due {
                Due::Timer { slot: of, key, generation, at } if of == slot => {
                    resident.cell.has_timer(key, generation).then_some((at, key, generation))
                }
                _ => None,
            })
            .collect();
        set.sort_unstable();
        set
    }
}
