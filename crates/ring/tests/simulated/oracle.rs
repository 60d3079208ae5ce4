//! What all members together may have delivered: kept outside of them, so that crashes forget
//! nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use dx_agents::AgentId;
use dx_ring::{Delivery, Life, View};

/// One life of a member.
pub type Who = (AgentId, Life);

/// A message, as it is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    origin: Who,
    number: u64,
    payload: u64,
}

/// All deliveries of all lives, checked as they come.
#[derive(Default)]
pub struct Oracle {
    /// The order of messages, as whoever was first delivered it.
    messages: BTreeMap<u64, (u64, Event)>,
    /// Views by their places.
    views: BTreeMap<u64, View>,
    /// What each life broadcast: how many.
    pub broadcast: BTreeMap<Who, u64>,
    /// What each life delivered last.
    pub reached: BTreeMap<Who, u64>,
    /// The number of each origin's latest message.
    latest: BTreeMap<Who, u64>,
    seen: BTreeSet<(Who, u64)>,
    pub wrong: Option<String>,
}

/// The oracle of a run.
pub type Shared = Arc<Mutex<Oracle>>;

impl Oracle {
    pub fn delivered(&mut self, who: Who, delivery: &Delivery, number: u64, payload: u64) {
        let Delivery { seq, index, origin, life, .. } = *delivery;
        let event = Event { origin: (origin, life), number, payload };
        let reached = self.reached.entry(who).or_default();
        if index != *reached + 1 {
            let text = format!("{who:?} delivers {index} after {reached}");
            return self.fail(text);
        }
        *reached = index;
        match self.messages.get(&index) {
            None => self.first(index, seq, event),
            Some(known) if *known == (seq, event.clone()) => {}
            Some(known) => {
                let text =
                    format!("{who:?} delivers {:?} as {index}, others {known:?}", (seq, event));
                self.fail(text);
            }
        }
    }

    fn first(&mut self, index: u64, seq: u64, event: Event) {
        let Event { origin, number, .. } = event;
        if self.broadcast.get(&origin).is_none_or(|sent| number > *sent) {
            self.fail(format!("{origin:?} never broadcast {number}"));
        }
        if !self.seen.insert((origin, number)) {
            self.fail(format!("{number} of {origin:?} is delivered twice"));
        }
        let latest = self.latest.entry(origin).or_default();
        if number != *latest + 1 {
            let text = format!("{number} of {origin:?} is delivered after {latest}");
            return self.fail(text);
        }
        *latest = number;
        let is_next = self.messages.last_key_value().is_none_or(|(last, _)| index == last + 1);
        if !is_next {
            return self.fail(format!("{index} is delivered before what precedes it"));
        }
        self.messages.insert(index, (seq, event));
    }

    pub fn view(&mut self, who: Who, view: &View, seq: u64) {
        match self.views.get(&seq) {
            Some(known) if known != view => {
                self.fail(format!("{who:?} has {view:?} at {seq}, others {known:?}"));
            }
            Some(_) => {}
            None => drop(self.views.insert(seq, view.clone())),
        }
    }

    pub fn restored(&mut self, who: Who, index: u64) {
        if index > self.top() {
            self.fail(format!("{who:?} is restored to {index}, which nobody delivered"));
        }
        if self.reached.insert(who, index).is_some_and(|before| before > index) {
            self.fail(format!("{who:?} is restored to {index}, behind what it delivered"));
        }
    }

    /// The number of the last message that anybody delivered.
    pub fn top(&self) -> u64 {
        self.messages.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// How many of its own messages each origin saw delivered anywhere.
    pub fn delivered_of(&self, who: Who) -> u64 {
        self.latest.get(&who).copied().unwrap_or(0)
    }

    pub fn views(&self) -> usize {
        self.views.len()
    }

    fn fail(&mut self, text: String) {
        self.wrong.get_or_insert(text);
    }
}
