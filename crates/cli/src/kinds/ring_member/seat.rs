//! A runner that tells what happens to it.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::Instant;
use dx_ring::run::{Command, Plan, Runner, Stage, Tally};
use dx_ring::{Delivery, Replica, Ring, View};

use super::stages;
use crate::console::say;

/// See the module.
pub struct Seat {
    runner: Runner,
    tell_own: bool,
    /// When the last number was delivered, and the longest time between two.
    last: Option<Instant>,
    longest: Duration,
}

impl Seat {
    /// One of a run that has not begun.
    pub fn new(plan: Plan, tell_own: bool) -> Self {
        Self { runner: Runner::new(plan), tell_own, last: None, longest: Duration::ZERO }
    }

    /// What the run is at.
    pub fn stage(&self) -> Stage {
        self.runner.stage()
    }

    /// What was delivered so far.
    pub fn tally(&self) -> Tally {
        self.runner.tally()
    }

    /// What the run came to, once it is over.
    pub fn result(&self) -> Option<Tally> {
        self.runner.result()
    }

    /// The longest time between two deliveries.
    pub fn longest_gap(&self) -> Duration {
        self.longest
    }

    /// Does something, and says what has come of it.
    fn watched(&mut self, ring: &mut Ring<'_>, act: impl FnOnce(&mut Runner, &mut Ring<'_>)) {
        let before = (self.stage(), self.result());
        act(&mut self.runner, ring);
        stages::tell(before, (self.stage(), self.result()), ring.context());
    }
}

impl Replica for Seat {
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>) {
        self.watched(ring, |runner, ring| runner.deliver(delivery, ring));
        let Some(Command::Data(value)) = Command::decode(&delivery.payload) else { return };
        let (me, now) = (ring.me(), ring.context().now());
        let gap = self.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        self.longest = self.longest.max(gap);
        if self.tell_own && delivery.origin == me {
            // What finds no room on the console is missing there, and nowhere else.
            let place = self.tally().count;
            say(ring.context(), format!("member {}: sent {place} {:016x}", me.0, value.to_bits()));
        }
    }

    fn snapshot(&self) -> Bytes {
        self.runner.snapshot()
    }

    fn restore(&mut self, snapshot: Bytes, view: Option<&View>, ring: &mut Ring<'_>) {
        self.watched(ring, |runner, ring| runner.restore(snapshot, view, ring));
        let (me, count) = (ring.me().0, self.tally().count);
        say(ring.context(), format!("member {me}: has caught up to message {count}"));
    }

    fn view(&mut self, seq: u64, view: &View, ring: &mut Ring<'_>) {
        let members: Vec<String> = view.members().map(|id| id.0.to_string()).collect();
        let (me, number, by) = (ring.me().0, view.id.number, view.id.coordinator.0);
        let members = members.join(" ");
        let line = format!("member {me}: view {number} (by member {by}): members {members}");
        say(ring.context(), line);
        self.watched(ring, |runner, ring| runner.view(seq, view, ring));
    }

    fn timer(&mut self, key: u32, ring: &mut Ring<'_>) {
        self.watched(ring, |runner, ring| runner.timer(key, ring));
    }

    fn room(&mut self, ring: &mut Ring<'_>) {
        self.watched(ring, Runner::room);
    }
}
