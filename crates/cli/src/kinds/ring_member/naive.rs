//! The naive member, of whose messages some may be lost. It tells what happens to it.

use std::time::Duration;

use dx_agents::rng::Rng;
use dx_agents::{Agent, AgentId, Context, Instant, TimerKey};
use dx_ring::RingMessage;
use dx_ring::run::{NaiveMember, Plan, Stage, Tally};

use super::stages;
use crate::console::say;

/// See the module.
pub struct Naive {
    member: NaiveMember,
    /// The share of numbers that do not come here, and what says which.
    share: f64,
    rng: Rng,
    tell_own: bool,
    /// When the last number was counted, and the longest time between two.
    last: Option<Instant>,
    longest: Duration,
}

impl Naive {
    /// One of a run that has not begun, which loses this share of what comes; which, a seed says.
    pub fn new(
        members: Vec<AgentId>,
        plan: Plan,
        (share, seed): (f64, u64),
        tell_own: bool,
    ) -> Self {
        let (member, rng) = (NaiveMember::new(members, plan), Rng::new(seed));
        Self { member, share, rng, tell_own, last: None, longest: Duration::ZERO }
    }

    /// What the run is at.
    pub fn stage(&self) -> Stage {
        self.member.stage()
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.member.tally()
    }

    /// What the run came to here, once it is over.
    pub fn result(&self) -> Option<Tally> {
        self.member.result()
    }

    /// The longest time between two numbers.
    pub fn longest_gap(&self) -> Duration {
        self.longest
    }

    /// Does something, and says what has come of it.
    fn watched(&mut self, cx: &mut Context, act: impl FnOnce(&mut NaiveMember, &mut Context)) {
        let (before, count) = ((self.stage(), self.result()), self.tally().count);
        let sent = self.member.sent();
        act(&mut self.member, cx);
        if self.tally().count > count {
            let now = cx.now();
            let gap = self.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
            self.longest = self.longest.max(gap);
        }
        // It speaks once in a step, at most.
        if let Some((place, value)) = self.member.latest().filter(|_| self.member.sent() > sent)
            && self.tell_own
        {
            let me = cx.me().0;
            say(cx, format!("member {me}: sent {place} {:016x}", value.to_bits()));
        }
        stages::tell(before, (self.stage(), self.result()), cx);
        if before.1.is_none() && self.result().is_some() {
            let me = cx.me().0;
            say(cx, format!("member {me}: the model naive does not guarantee that members agree"));
        }
    }
}

impl Agent for Naive {
    type Message = RingMessage;

    fn start(&mut self, cx: &mut Context) {
        self.watched(cx, NaiveMember::start);
    }

    fn message(&mut self, from: AgentId, message: RingMessage, cx: &mut Context) {
        let is_number = matches!(message, RingMessage::Model { .. });
        if !is_number || self.rng.unit() >= self.share {
            self.watched(cx, |member, cx| member.message(from, message, cx));
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.watched(cx, |member, cx| member.timer(key, cx));
    }
}
