//! What the lives of nodes mean for their conversations.

use super::end::End;
use super::{Side, Speech};
use crate::schedule::Due;
use crate::sim::Sim;

use super::BytesDue;

/// How much later to look again at what could not be done when it was due: as in the mesh.
const OVERDUE: std::time::Duration = std::time::Duration::from_millis(10);

impl Sim {
    /// Two nodes have something with each other: those that are up begin to look for each other, as
    /// they have since they started.
    pub(super) fn introduce(&mut self, pair: u32) {
        for side in 0..2 {
            let link = &self.links.pairs[pair as usize];
            let node = link.nodes[side];
            if link.ends[side].is_none() && self.nodes[node as usize].is_up() {
                self.begin_end(pair, side);
            }
        }
    }

    fn begin_end(&mut self, pair: u32, side: usize) {
        let link = &self.links.pairs[pair as usize];
        let (node, peer) = (link.nodes[side], link.nodes[1 - side]);
        let now = dx_agents::Instant(self.nodes[node as usize].clock.at(self.now));
        let side = Side { pair, at: side, node, peer, now };
        let config = self.session_config();
        let nonce = self.fresh_nonce();
        let life = self.nodes[node as usize].life;
        let dialing = self.config.network.dialing;
        let mut end = End::new(life, &config, nonce, dialing, self.is_smaller(side));
        end.dialer.readdress(now, 1, self.choices.unit("dial-jitter"));
        self.links.pairs[pair as usize].ends[side.at] = Some(Box::new(end));
        self.ask_turn(pair, side.at, self.now);
    }

    /// A node has started: it looks for those that it has had something with.
    pub(crate) fn bytes_node_is_up(&mut self, place: u32) {
        self.links.wires.refuses.remove(&place);
        for (pair, side) in self.links.of(place) {
            self.begin_end(pair, side);
        }
    }

    /// A node's clock has another pace: what it was to be woken for comes at another time.
    pub(crate) fn pace_has_changed(&mut self, place: u32) {
        if self.is_of_bytes() {
            self.bytes_look(place);
        }
    }

    /// A node goes on: it looks what is due.
    pub(crate) fn bytes_look(&mut self, place: u32) {
        for (pair, side) in self.links.of(place) {
            self.ask_turn(pair, side, self.now);
        }
    }

    /// Ends the session of two nodes, from the side of the one with the lower place if it is up: with
    /// a word to the other, or over a connection that breaks at the same time.
    pub(crate) fn bytes_lose_session(&mut self, pair: u32) {
        if self.choices.choose("wordless", 2) == 1 {
            self.reset_pair(pair);
        }
        let sides = 0..2;
        let is_running = |side: &usize| {
            let link = &self.links.pairs[pair as usize];
            link.ends[*side].is_some() && self.nodes[link.nodes[*side] as usize].is_running()
        };
        let Some(at) = sides.into_iter().find(is_running) else { return };
        let link = &mut self.links.pairs[pair as usize];
        let (node, peer) = (link.nodes[at], link.nodes[1 - at]);
        let Some(mut end) = link.ends[at].take() else { return };
        let now = dx_agents::Instant(self.nodes[node as usize].clock.at(self.now));
        let side = Side { pair, at, node, peer, now };
        self.departs = self.now;
        self.give_up_session(&mut end, side);
        self.links.pairs[pair as usize].ends[at] = Some(end);
        self.ask_turn(pair, at, self.now);
    }

    /// A node crashed: of what it had given to its host some may still arrive. If its machine is
    /// still there, that tells the others; else nobody does.
    pub(crate) fn bytes_node_has_crashed(&mut self, place: u32) {
        let refuses = self.choices.choose("refused", 2) == 0;
        self.links.wires.refuses.insert(place, refuses);
        for (pair, side) in self.links.of(place) {
            let link = &mut self.links.pairs[pair as usize];
            if let Some(end) = link.ends[side].take() {
                self.links.wires.tally.replayed_frames += end.replayed_frames();
            }
            link.ways[side].forget_sender();
            link.ways[side].speech = Speech::default();
            link.ways[1 - side].quotas.clear();
            let held: Vec<u32> = link.ways.iter_mut().flat_map(|way| way.held.drain(..)).collect();
            for parcel in held {
                self.lose(parcel);
            }
            for wire in self.wires_of(pair) {
                self.tear_pipes(wire, side);
                if let Some(it) = self.links.wires.all.get_mut(&wire) {
                    for pipe in it.pipes[side].iter_mut().filter(|_| !refuses) {
                        pipe.is_dead = true;
                    }
                }
                self.let_go(wire, side);
            }
        }
    }

    /// Sets the alarm of a side for whatever is due next.
    pub(super) fn set_alarm(&mut self, end: &mut End, side: Side) {
        let quiet_at = self.quiet_at(end, side.now).filter(|_| end.dialer.is_idle());
        let due = [end.session.deadline(), end.dialer.due(), end.down_at, quiet_at];
        let due = due.into_iter().flatten().min();
        let clock = &self.nodes[side.node as usize].clock;
        let at = due.map(|due| {
            let due = if due <= side.now { side.now + OVERDUE } else { due };
            clock.when(due, self.now)
        });
        let patience = end.attempts.iter().chain(&end.callers).filter_map(|wire| {
            let wire = self.links.wires.all.get(wire)?;
            wire.greetings[side.at].as_ref().map(|greeting| greeting.until)
        });
        let Some(at) = at.into_iter().chain(patience).min() else { return };
        let at = at.max(self.now + 1);
        if end.alarm.is_none_or(|alarm| at < alarm || alarm <= self.now) {
            end.alarm = Some(at);
            let due = Due::Bytes(BytesDue::Alarm(side.pair, side.at == 0));
            self.schedule.add(at, due, &mut self.choices);
        }
    }
}
