//! Links that break and come back, and sessions that outlive them or end.
//!
//! | what happens | agents hear |
//! |---|---|
//! | silence, or a crash | monitors: `NoConnection`. Nothing is lost yet, questions stay open |
//! | the same lives find each other in time | nothing; what was held goes on |
//! | a node comes back with a new life | monitors and questions: `Restarted` |
//! | too long without a link | monitors and questions: `SessionLost` |

use dx_agents::event::Event;
use dx_agents::{AgentId, AskError, Down};

use super::Frame;
use crate::schedule::{Due, LinkDue};
use crate::sim::Sim;
use crate::sim::telling::called;

impl Sim {
    /// Two nodes that never had anything with each other find each other at once, if they can:
    /// they have dialed since they started.
    pub(super) fn meet(&mut self, pair: u32) {
        if !self.links.pairs[pair as usize].has_met && self.can_meet(pair) {
            self.begin_session(pair);
        }
    }

    fn can_meet(&self, pair: u32) -> bool {
        let link = &self.links.pairs[pair as usize];
        link.ways.iter().all(|way| !way.is_cut)
            && link.nodes.iter().all(|node| self.nodes[*node as usize].is_running())
    }

    pub(super) fn add_link_due(&mut self, pair: u32, after: std::time::Duration, what: LinkDue) {
        let turn = self.links.pairs[pair as usize].turn;
        let at = self.after(after);
        self.schedule.add(at, Due::Link { pair, turn, what }, &mut self.choices);
    }

    pub(crate) fn link_due(&mut self, pair: u32, turn: u32, what: LinkDue) {
        if let LinkDue::Unclog(up) = what {
            return self.unclog(pair, usize::from(!up));
        }
        if self.links.pairs[pair as usize].turn != turn {
            return;
        }
        match what {
            LinkDue::Silence => self.breaks(pair),
            LinkDue::Redial => self.redial(pair),
            LinkDue::Expiry => {
                self.end_session(pair, Down::SessionLost);
                self.reachable(pair);
            }
            LinkDue::Unclog(_) => {}
        }
    }

    /// Nobody has heard anything for too long: the link is given up, and both sides are told.
    fn breaks(&mut self, pair: u32) {
        let link = &mut self.links.pairs[pair as usize];
        if !link.is_up {
            return;
        }
        link.is_up = false;
        link.turn += 1;
        let nodes = link.nodes;
        self.links.tally.broken += 1;
        let [one, other] = self.at(nodes);
        let text = || format!("link {} - {} breaks", called(one), called(other));
        self.tell_fault(&[one, other], text);
        for side in 0..2 {
            self.tell_watchers(pair, side, Down::NoConnection);
        }
        let ttl = self.config.network.session_ttl.saturating_sub(self.config.network.silence);
        self.add_link_due(pair, ttl, LinkDue::Expiry);
        if self.can_meet(pair) {
            self.schedule_redial(pair);
        }
    }

    /// The nodes may find each other again.
    pub(super) fn schedule_redial(&mut self, pair: u32) {
        let after = self.config.network.redial.draw(&mut self.choices);
        self.add_link_due(pair, after, LinkDue::Redial);
    }

    fn redial(&mut self, pair: u32) {
        if !self.can_meet(pair) {
            return;
        }
        let link = &self.links.pairs[pair as usize];
        let lives = link.nodes.map(|node| self.nodes[node as usize].life);
        let is_new = link.has_met && lives != link.lives;
        if is_new {
            self.end_session(pair, Down::Restarted);
        }
        let link = &mut self.links.pairs[pair as usize];
        if link.is_up {
            return;
        }
        let is_over = link.is_over.iter().any(|over| *over);
        if is_over || !link.has_met {
            self.begin_session(pair);
            return;
        }
        link.is_up = true;
        link.turn += 1;
        let nodes = link.nodes;
        self.links.tally.resumed += 1;
        let [one, other] = self.at(nodes);
        let text = || format!("link {} - {} is back", called(one), called(other));
        self.tell_mended(&[one, other], text);
        self.release(pair, 0);
        self.release(pair, 1);
        self.send_backlog(pair);
    }

    /// A session ends. What was on its way is lost, and both sides are told, once.
    pub(super) fn end_session(&mut self, pair: u32, why: Down) {
        let link = &mut self.links.pairs[pair as usize];
        link.session += 1;
        link.turn += 1;
        link.is_up = false;
        let held: Vec<u32> = link.ways.iter_mut().flat_map(|way| way.held.drain(..)).collect();
        for parcel in held {
            self.lose(parcel);
        }
        self.links.tally.ended += 1;
        for side in 0..2 {
            let link = &mut self.links.pairs[pair as usize];
            let (node, peer) = (link.nodes[side], link.nodes[1 - side]);
            let restarted = self.nodes[node as usize].life != link.lives[side];
            if std::mem::replace(&mut link.is_over[side], true) || restarted {
                // A new life asked nobody anything in the session that ends.
                continue;
            }
            let peer = self.nodes[peer as usize].id;
            for question in self.nodes[node as usize].asks.fail(peer) {
                self.fail_question(node, question, AskError::Down(why));
            }
            self.tell_watchers(pair, side, why);
        }
    }

    /// A session begins: what waited leaves, and what is watched is watched again.
    fn begin_session(&mut self, pair: u32) {
        let link = &mut self.links.pairs[pair as usize];
        link.is_up = true;
        link.turn += 1;
        link.is_over = [false; 2];
        let lives = link.nodes.map(|node| self.nodes[node as usize].life);
        let had = std::mem::replace(&mut link.lives, lives);
        for way in &mut link.ways {
            way.ends_at = u64::MAX;
        }
        for (way, side) in [(0, 0), (1, 1)] {
            if had[side] != lives[side] {
                // What was granted to an earlier life is no longer owed.
                link.ways[way].quotas.clear();
            }
        }
        self.send_backlog(pair);
        if !std::mem::replace(&mut self.links.pairs[pair as usize].has_met, true) {
            // Nothing went before, so nothing is in doubt.
            return;
        }
        for way in 0..2 {
            let direction = &mut self.links.pairs[pair as usize].ways[way];
            let watched: Vec<AgentId> = direction.watches.watched().collect();
            let (round, in_doubt) = direction.probe();
            for who in watched {
                self.transmit(pair, way, Frame::Watch { who, is_on: true });
            }
            for to in in_doubt {
                self.transmit(pair, way, Frame::Probe { to, round });
            }
        }
    }

    fn send_backlog(&mut self, pair: u32) {
        self.departs = self.now;
        for way in 0..2 {
            let backlog = &mut self.links.pairs[pair as usize].ways[way].backlog;
            for frame in std::mem::take(backlog) {
                self.transmit(pair, way, frame);
            }
        }
    }

    /// What was held up goes on, before all that comes later.
    pub(crate) fn release(&mut self, pair: u32, way: usize) {
        if self.is_of_bytes() {
            return self.way_is_free(pair, way);
        }
        let link = &self.links.pairs[pair as usize];
        let to = link.nodes[1 - way];
        let is_free = link.is_up
            && !link.ways[way].is_blocked(self.now)
            && self.nodes[to as usize].is_running();
        if !is_free {
            return;
        }
        self.let_way_go(pair, way);
    }

    pub(super) fn tell_watchers(&mut self, pair: u32, side: usize, why: Down) {
        let link = &self.links.pairs[pair as usize];
        let node = link.nodes[side];
        if !self.nodes[node as usize].is_up() {
            return;
        }
        let watches = &link.ways[side].watches;
        let pairs: Vec<(AgentId, AgentId)> = watches.pairs().collect();
        for (me, who) in pairs {
            self.tell_on(node, me, Event::Down(who, why));
        }
    }

    /// A node started: others find it.
    pub(crate) fn node_is_up(&mut self, place: u32) {
        if self.is_of_bytes() {
            return self.bytes_node_is_up(place);
        }
        for (pair, _) in self.links.of(place) {
            self.schedule_redial(pair);
        }
    }

    /// A node's process stands still: after a while the others take it for gone.
    pub(crate) fn node_is_silent(&mut self, place: u32) {
        for (pair, _) in self.links.of(place) {
            let link = &mut self.links.pairs[pair as usize];
            if link.is_up {
                link.turn += 1;
                self.add_link_due(pair, self.config.network.silence, LinkDue::Silence);
            }
        }
    }

    /// It goes on: what came for it meanwhile is there.
    pub(crate) fn node_is_heard(&mut self, place: u32) {
        if self.is_of_bytes() {
            return self.bytes_look(place);
        }
        for (pair, out) in self.links.of(place) {
            self.reachable(pair);
            self.release(pair, 1 - out);
        }
    }

    /// A node crashed. Its kernel may still send what it had been given, a part of it; the others
    /// hear of it at once if their redial is refused, or by silence.
    pub(crate) fn node_has_crashed(&mut self, place: u32) {
        if self.is_of_bytes() {
            return self.bytes_node_has_crashed(place);
        }
        for (pair, out) in self.links.of(place) {
            let network = self.config.network;
            let is_refused = self.choices.choose("refused", 2) == 0;
            let lasts = network.delay.draw(&mut self.choices).as_nanos() as u64;
            let link = &mut self.links.pairs[pair as usize];
            link.ways[out].ends_at = self.now + lasts;
            link.ways[out].forget_sender();
            link.ways[1 - out].quotas.clear();
            // What it was to be told of its credit is not for its next life.
            link.ways[1 - out].backlog.retain(|frame| !frame.is_of_credit());
            if link.is_up {
                link.turn += 1;
                let after = if is_refused {
                    network.delay.draw(&mut self.choices)
                } else {
                    network.silence
                };
                self.add_link_due(pair, after, LinkDue::Silence);
            }
        }
    }

    /// Something stood between the two and does not any more.
    pub(super) fn reachable(&mut self, pair: u32) {
        if self.is_of_bytes() || !self.can_meet(pair) {
            return;
        }
        let link = &mut self.links.pairs[pair as usize];
        let lives = link.nodes.map(|node| self.nodes[node as usize].life);
        if link.is_up && link.lives == lives {
            // It was not noticed.
            link.turn += 1;
        } else {
            self.schedule_redial(pair);
        }
    }
}
