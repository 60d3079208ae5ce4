//! What befalls connections: at random with every write, or as a test says.

use dx_agents::NodeId;

use super::Pipes;
use super::wire::Wire;
use crate::schedule::Due;
use crate::sim::Sim;
use crate::trace::What;

use super::BytesDue;

impl Sim {
    /// From now on this may befall connections. Nothing without
    /// [`Fidelity::Bytes`](crate::Fidelity::Bytes).
    pub fn set_pipes(&mut self, pipes: Pipes) {
        self.config.network.pipes = pipes;
    }

    /// Breaks the connections between two nodes now: of what is under way some first part arrives,
    /// and then both ends hear of it. Nothing without [`Fidelity::Bytes`](crate::Fidelity::Bytes).
    ///
    /// # Panics
    /// If there is no such node.
    pub fn reset_links(&mut self, one: NodeId, other: NodeId) {
        if let Some((pair, _)) = self.way_between(one, other) {
            self.reset_pair(pair);
        }
    }

    pub(super) fn reset_pair(&mut self, pair: u32) {
        for wire in self.wires_of(pair) {
            self.reset(wire);
        }
    }

    /// Lets the connections between two nodes die: what `from` writes on them never arrives, and
    /// nobody is told. Connections that are made later are as good as any.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn half_open_links(&mut self, from: NodeId, to: NodeId) {
        let Some((pair, _)) = self.way_between(from, to) else { return };
        for wire in self.wires_of(pair) {
            self.links.wires.tally.half_opens += 1;
            let side = usize::from(self.node_places[&from] > self.node_places[&to]);
            self.dies(wire, side);
        }
    }

    /// Something may befall the connection with what was just written.
    pub(super) fn befall(&mut self, wire: u32, side: usize, channel: usize) {
        let pipes = self.config.network.pipes;
        if self.choices.chance("stall", pipes.stalls) {
            let until = pipes.stall.draw(&mut self.choices);
            let until = self.after(until);
            if let Some(it) = self.links.wires.all.get_mut(&wire) {
                let pipe = &mut it.pipes[side][channel];
                pipe.stalled_until = pipe.stalled_until.max(until);
                self.links.wires.tally.stalled += 1;
                let due = Due::Bytes(BytesDue::Arrival(wire, side == 0));
                self.schedule.add(until, due, &mut self.choices);
            }
        }
        if self.choices.chance("reset", pipes.resets) {
            self.reset(wire);
        }
        let dies = self.choices.event("half-open", pipes.half_opens, |how| how.choose("how", 3));
        if let Some(how) = dies {
            self.links.wires.tally.half_opens += 1;
            match how {
                0 => self.dies(wire, side),
                1 => (0..2).for_each(|side| self.dies(wire, side)),
                _ => {
                    // The other end hears of it, and what that says does not come back.
                    self.resets_one_way(wire, side);
                    self.dies(wire, 1 - side);
                }
            }
        }
    }

    fn reset(&mut self, wire: u32) {
        let Some(pair) = self.links.wires.all.get(&wire).map(|it| it.pair) else { return };
        self.links.wires.tally.resets += 1;
        let node = self.links.pairs[pair as usize].nodes[0];
        self.note_node(node, What::Fault);
        (0..2).for_each(|side| self.resets_one_way(wire, side));
    }

    pub(super) fn resets_one_way(&mut self, wire: u32, side: usize) {
        self.tear_pipes(wire, side);
        let took = self.config.network.delay.draw(&mut self.choices).as_nanos() as u64;
        let at = self.now + took;
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        let ends: Vec<_> = it.pipes[side].iter_mut().map(|pipe| pipe.reset(at)).collect();
        for at in ends {
            self.arrives_at(wire, side, at);
        }
    }

    fn dies(&mut self, wire: u32, side: usize) {
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        for pipe in &mut it.pipes[side] {
            pipe.tear(0);
            pipe.is_dead = true;
        }
    }

    /// The connections of two nodes.
    pub(super) fn wires_of(&self, pair: u32) -> Vec<u32> {
        let is_theirs = |(_, wire): &(&u32, &Wire)| wire.pair == pair;
        self.links.wires.all.iter().filter(is_theirs).map(|(number, _)| *number).collect()
    }
}
