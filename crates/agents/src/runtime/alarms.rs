//! What is due when: a heap with lazy removal, bounded by what is really set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use dx_transport::time::Instant;

use crate::id::{AgentId, AskId, TimerKey};

/// Alarms of a worker's agents. Those that were cleared stay until they come up or make up more
/// than half of it.
#[derive(Default)]
pub struct Alarms {
    heap: BinaryHeap<Reverse<Entry>>,
    /// Deadlines set since the last look at the clock. Most questions are answered before the next.
    young: Vec<Young>,
    cleared: usize,
    sequence: u64,
}

/// What an alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A timer's setting.
    Timer(TimerKey, u64),
    /// A question's deadline.
    Deadline(AskId),
    /// The agent starts anew.
    Restart,
}

/// An alarm and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    at: Instant,
    sequence: u64,
    /// The agent's place with its worker.
    pub slot: u32,
    /// The agent.
    pub agent: AgentId,
    /// What for.
    pub alarm: Alarm,
}

/// A deadline that counts from the next look at the clock.
struct Young {
    within: Duration,
    slot: u32,
    agent: AgentId,
    ask: AskId,
}

impl Alarms {
    /// Sets an alarm.
    pub fn set(&mut self, at: Instant, slot: u32, agent: AgentId, alarm: Alarm) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, slot, agent, alarm }));
    }

    /// Sets the deadline of a question, to count from the next [`age`](Self::age).
    pub fn set_deadline(&mut self, within: Duration, slot: u32, agent: AgentId, ask: AskId) {
        self.young.push(Young { within, slot, agent, ask });
    }

    /// It is `now`: deadlines count from here. `is_open` says of each question of the agent at a
    /// place whether it still waits; `None` if there is no such agent any more.
    pub fn age(&mut self, now: Instant, is_open: impl Fn(u32, AgentId, AskId) -> Option<bool>) {
        let mut young = std::mem::take(&mut self.young);
        for Young { within, slot, agent, ask } in young.drain(..) {
            match is_open(slot, agent, ask) {
                Some(true) => self.set(now + within, slot, agent, Alarm::Deadline(ask)),
                // It was noted as cleared, and never became an alarm.
                Some(false) => self.cleared = self.cleared.saturating_sub(1),
                None => {}
            }
        }
        self.young = young;
    }

    /// Notes that one alarm need not come. `is_set` says of each whether it still counts; it is
    /// asked when it is time to clean up.
    pub fn clear_one(&mut self) -> bool {
        self.cleared += 1;
        self.cleared > MIN_CLEARED && self.cleared > self.heap.len() / 2
    }

    /// Removes all that no longer count.
    pub fn clean(&mut self, is_set: impl Fn(&Entry) -> bool) {
        self.heap.retain(|Reverse(entry)| is_set(entry));
        self.cleared = 0;
    }

    /// The next alarm that is due, if any.
    pub fn due(&mut self, now: Instant) -> Option<Entry> {
        if self.heap.peek().is_some_and(|Reverse(entry)| entry.at <= now) {
            return self.heap.pop().map(|Reverse(entry)| entry);
        }
        None
    }

    /// When the next one is.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes out the alarms of one agent, with their times: it is `now`, and `is_open` says which of
    /// its questions still wait.
    pub fn extract(
        &mut self,
        agent: AgentId,
        now: Instant,
        is_open: impl Fn(AskId) -> bool,
    ) -> Vec<(Instant, Alarm)> {
        let mut extracted = Vec::new();
        for Young { within, ask, .. } in self.young.extract_if(.., |young| young.agent == agent) {
            if is_open(ask) {
                extracted.push((now + within, Alarm::Deadline(ask)));
            } else {
                self.cleared = self.cleared.saturating_sub(1);
            }
        }
        self.heap.retain(|Reverse(entry)| {
            if entry.agent == agent {
                extracted.push((entry.at, entry.alarm));
            }
            entry.agent != agent
        });
        extracted
    }

    /// How many there are, cleared ones included.
    pub fn len(&self) -> usize {
        self.heap.len() + self.young.len()
    }
}

/// Below this many it is not worth cleaning up.
const MIN_CLEARED: usize = 64;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    const ASKER: AgentId = AgentId(7);
    const WITHIN: Duration = Duration::from_nanos(100);

    fn ask(number: u64) -> AskId {
        AskId(NonZeroU64::new(number).unwrap())
    }

    /// Two questions.
    fn asked() -> Alarms {
        let mut alarms = Alarms::default();
        alarms.set_deadline(WITHIN, 0, ASKER, ask(1));
        alarms.set_deadline(WITHIN, 0, ASKER, ask(2));
        alarms
    }

    fn due(alarms: &mut Alarms, at: u64) -> Vec<Alarm> {
        std::iter::from_fn(|| alarms.due(Instant(at))).map(|entry| entry.alarm).collect()
    }

    #[test]
    fn a_deadline_counts_from_the_look_at_the_clock_that_follows() {
        let mut alarms = asked();
        assert_eq!(due(&mut alarms, 1_000), []);
        alarms.age(Instant(50), |_, _, _| Some(true));
        assert_eq!((alarms.next(), alarms.len()), (Some(Instant(150)), 2));
        assert_eq!(due(&mut alarms, 149), []);
        assert_eq!(due(&mut alarms, 150), [1, 2].map(|number| Alarm::Deadline(ask(number))));
    }

    #[test]
    fn what_is_answered_before_the_next_look_never_becomes_an_alarm() {
        let mut alarms = asked();
        assert!(!alarms.clear_one());
        alarms.set_deadline(WITHIN, 1, AgentId(8), ask(1));
        let is_open = |slot, agent, open| (agent == ASKER).then_some((slot, open) == (0, ask(2)));
        alarms.age(Instant(50), is_open);
        // Of who is gone nothing was noted as cleared.
        assert_eq!((alarms.len(), alarms.cleared), (1, 0));
        assert_eq!(due(&mut alarms, 150), [Alarm::Deadline(ask(2))]);
    }

    #[test]
    fn an_agent_that_moves_takes_its_young_deadlines_along() {
        let mut alarms = asked();
        alarms.set_deadline(WITHIN, 1, AgentId(8), ask(1));
        assert!(!alarms.clear_one());
        let moved = [(Instant(150), Alarm::Deadline(ask(2)))];
        assert_eq!(alarms.extract(ASKER, Instant(50), |open| open == ask(2)), moved);
        assert_eq!((alarms.len(), alarms.cleared), (1, 0));
    }
}
