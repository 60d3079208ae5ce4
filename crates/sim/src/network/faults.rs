//! What can be done to the network.

use std::time::Duration;

use dx_agents::{Down, NodeId};

use crate::schedule::{Due, LinkDue};
use crate::sim::Sim;
use crate::sim::telling::called;
use crate::trace::What;

impl Sim {
    /// Cuts the way from one node to another; the way back stays. What is on its way, and what is
    /// sent from now on, is held. After some silence both give up the link.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        let Some((pair, way)) = self.way_between(from, to) else { return };
        let link = &mut self.links.pairs[pair as usize];
        if std::mem::replace(&mut link.ways[way].is_cut, true) {
            return;
        }
        let other_is_cut = link.ways[1 - way].is_cut;
        if link.is_up && !other_is_cut {
            link.turn += 1;
            self.add_link_due(pair, self.config.network.silence, LinkDue::Silence);
        }
        self.note_node(self.node_places[&from], What::Fault);
        self.tell_fault(&[from, to], || format!("cut {} -> {}", called(from), called(to)));
    }

    /// Mends the way from one node to another.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        let Some((pair, way)) = self.way_between(from, to) else { return };
        let link = &mut self.links.pairs[pair as usize];
        if !std::mem::replace(&mut link.ways[way].is_cut, false) {
            return;
        }
        self.note_node(self.node_places[&from], What::Fault);
        self.tell_mended(&[from, to], || format!("mends {} -> {}", called(from), called(to)));
        self.reachable(pair);
        self.release(pair, way);
    }

    /// Divides the nodes: those of different groups do not reach each other. A node in several
    /// groups is a bridge between them; one in none reaches nobody.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn partition(&mut self, groups: &[&[NodeId]]) {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        for (at, &one) in nodes.iter().enumerate() {
            for &other in &nodes[at + 1..] {
                let together = groups.iter().any(|it| it.contains(&one) && it.contains(&other));
                if together {
                    self.mend(one, other);
                    self.mend(other, one);
                } else {
                    self.cut(one, other);
                    self.cut(other, one);
                }
            }
        }
    }

    /// Mends all ways.
    pub fn mend_all(&mut self) {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        self.partition(&[&nodes]);
    }

    /// Nothing passes from one node to another for a while; both know the link to be there.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn clog(&mut self, from: NodeId, to: NodeId, duration: Duration) {
        let until = self.after(duration);
        let Some((pair, way)) = self.way_between(from, to) else { return };
        let way_state = &mut self.links.pairs[pair as usize].ways[way];
        way_state.clogged_until = way_state.clogged_until.max(until);
        let due = Due::Link { pair, turn: 0, what: LinkDue::Unclog(way == 0) };
        self.schedule.add(until + 1, due, &mut self.choices);
        self.note_node(self.node_places[&from], What::Fault);
        self.tell_fault(&[from, to], || {
            format!("clogs {} -> {} for {duration:?}", called(from), called(to))
        });
    }

    /// Everything flows again.
    pub(crate) fn unclog_all(&mut self) {
        for pair in 0..self.links.pairs.len() as u32 {
            for way in 0..2 {
                let way_state = &mut self.links.pairs[pair as usize].ways[way];
                if way_state.clogged_until > self.now {
                    way_state.clogged_until = self.now;
                    self.unclog(pair, way);
                }
            }
        }
    }

    pub(super) fn unclog(&mut self, pair: u32, way: usize) {
        self.release(pair, way);
    }

    /// Ends the session of two nodes: what is on its way is lost. They find each other again.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn lose_session(&mut self, one: NodeId, other: NodeId) {
        let Some((pair, _)) = self.way_between(one, other) else { return };
        if !self.is_of_bytes() && !self.links.pairs[pair as usize].has_met {
            return;
        }
        self.note_node(self.node_places[&one], What::Fault);
        self.tell_fault(&[one, other], || {
            format!("session of {} and {} is lost", called(one), called(other))
        });
        if self.is_of_bytes() {
            return self.bytes_lose_session(pair);
        }
        self.end_session(pair, Down::SessionLost);
        self.schedule_redial(pair);
    }

    pub(super) fn way_between(&mut self, from: NodeId, to: NodeId) -> Option<(u32, usize)> {
        let place = |node: NodeId| {
            let place = self.node_places.get(&node).copied();
            place.unwrap_or_else(|| panic!("there is no node {node} in this world"))
        };
        let (from, to) = (place(from), place(to));
        (from != to).then(|| self.links.make(from, to))
    }
}
