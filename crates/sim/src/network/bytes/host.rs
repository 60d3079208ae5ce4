//! What the operating systems of both ends do: connections open, bytes travel, ends close.

use bytes::Bytes;
use dx_transport::id::SessionNonce;
use dx_transport::limits::HANDSHAKE_TIMEOUT;

use super::wire::{Greeting, Opening, Wire};
use super::{BytesDue, Side};
use crate::schedule::Due;
use crate::sim::Sim;

impl Sim {
    /// Asks the peer's host for a connection: its number.
    pub(super) fn call(&mut self, side: Side, nonce: SessionNonce) -> u32 {
        let peer = self.nodes[side.peer as usize].id;
        let hello = self.hello(side.node, Some(peer), nonce);
        let lanes = hello.lanes.len();
        let has_channels = self.choices.chance("channels", self.config.network.pipes.channels);
        let mut wire = Wire::new(side.pair, side.at, if has_channels { lanes } else { 1 });
        wire.greetings[side.at] = Some(Greeting::dial(hello, self.after(HANDSHAKE_TIMEOUT)));
        let wires = &mut self.links.wires;
        let number = wires.made;
        wires.made += 1;
        wires.all.insert(number, wire);
        wires.tally.dialed += 1;
        wires.tally.with_channels += u64::from(has_channels);
        self.open_later(number, Opening::Call);
        number
    }

    fn open_later(&mut self, wire: u32, step: Opening) {
        let after = self.config.network.delay.draw(&mut self.choices);
        let due = Due::Bytes(BytesDue::Opening(wire, step));
        self.schedule.add(self.after(after), due, &mut self.choices);
    }

    /// A step of a connection's opening comes to the end of its way, if the way is free.
    pub(super) fn opens(&mut self, wire: u32, step: Opening) {
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        let (pair, dialer) = (it.pair, it.dialer);
        let way = if step == Opening::Call { dialer } else { 1 - dialer };
        if self.links.pairs[pair as usize].ways[way].is_blocked(self.now) {
            it.opening = Some(step);
            return;
        }
        match step {
            Opening::Call => self.is_called(wire, pair, 1 - dialer),
            Opening::Taken => {
                it.is_open = true;
                self.ask_turn(pair, dialer, self.now);
            }
            Opening::Refused => {
                it.is_refused = true;
                self.links.wires.tally.refused += 1;
                self.ask_turn(pair, dialer, self.now);
            }
        }
    }

    fn is_called(&mut self, wire: u32, pair: u32, side: usize) {
        let place = self.links.pairs[pair as usize].nodes[side];
        if !self.nodes[place as usize].is_up() {
            if self.links.wires.refuses.get(&place).copied().unwrap_or(true) {
                self.open_later(wire, Opening::Refused);
            }
            return;
        }
        let hello = self.hello(place, None, SessionNonce(0));
        let greeting = Greeting::accept(hello, self.after(HANDSHAKE_TIMEOUT));
        let end = self.links.pairs[pair as usize].ends[side].as_mut();
        let it = self.links.wires.all.get_mut(&wire);
        if let (Some(end), Some(it)) = (end, it) {
            it.greetings[side] = Some(greeting);
            end.callers.push(wire);
            self.open_later(wire, Opening::Taken);
        }
    }

    /// Bytes set out. They arrive in order, unless something befalls them.
    pub(super) fn write(&mut self, wire: u32, side: usize, channel: usize, bytes: Bytes) {
        let pipes = self.config.network.pipes;
        self.links.wires.tally.writes += 1;
        self.links.wires.tally.bytes += bytes.len() as u64;
        let len = bytes.len() as u64;
        let torn = self.choices.event("tear", pipes.tears, |how| how.choose("at", len));
        match torn.filter(|at| *at > 0) {
            None => self.send_out(wire, side, channel, bytes),
            Some(at) => {
                let mut rest = bytes;
                let first = rest.split_to(at as usize);
                self.links.wires.tally.torn += 1;
                self.send_out(wire, side, channel, first);
                self.send_out(wire, side, channel, rest);
            }
        }
        self.befall(wire, side, channel);
    }

    fn send_out(&mut self, wire: u32, side: usize, channel: usize, bytes: Bytes) {
        let network = self.config.network;
        let took = network.delay.draw(&mut self.choices).as_nanos() as u64;
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        let way = &mut self.links.pairs[it.pair as usize].ways[side];
        let mut left = self.now;
        let serialized = (bytes.len() as u64 * 1_000_000_000).checked_div(network.bandwidth);
        if let Some(serialized) = serialized {
            left = left.max(way.free_at) + serialized;
            way.free_at = left;
        }
        let at = it.pipes[side][channel].write(bytes, left + took);
        self.arrives_at(wire, side, at);
    }

    pub(super) fn arrives_at(&mut self, wire: u32, side: usize, at: Option<u64>) {
        if let Some(at) = at {
            let due = Due::Bytes(BytesDue::Arrival(wire, side == 0));
            self.schedule.add(at, due, &mut self.choices);
        }
    }

    /// Something that `side` wrote arrives, if the way is free and the connection does not stand
    /// still.
    pub(super) fn bytes_arrive(&mut self, wire: u32, side: usize) {
        let now = self.now;
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        let pair = it.pair;
        if self.links.pairs[pair as usize].ways[side].is_blocked(now) {
            return;
        }
        for pipe in &mut it.pipes[side] {
            if pipe.stalled_until <= now {
                pipe.arrive(now);
            }
        }
        if it.is_held[1 - side] {
            self.ask_turn(pair, 1 - side, now);
        }
    }

    /// One end closes, when all that it has written is under way.
    pub(super) fn let_go(&mut self, wire: u32, side: usize) {
        let took = self.config.network.delay.draw(&mut self.choices).as_nanos() as u64;
        let at = self.now + took;
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        it.is_held[side] = false;
        it.greetings[side] = None;
        let closed: Vec<_> = it.pipes[side].iter_mut().map(|pipe| pipe.close(at)).collect();
        if !it.is_held[1 - side] {
            self.links.wires.all.remove(&wire);
            return;
        }
        for at in closed {
            self.arrives_at(wire, side, at);
        }
    }

    /// One end drops the connection: of what is under way only a part may arrive.
    pub(super) fn drop_wire(&mut self, wire: u32, side: usize) {
        self.tear_pipes(wire, side);
        self.let_go(wire, side);
    }

    /// Of what one side has under way, some first part will arrive. All of it is the plainest.
    pub(super) fn tear_pipes(&mut self, wire: u32, side: usize) {
        let Some(it) = self.links.wires.all.get_mut(&wire) else { return };
        for pipe in &mut it.pipes[side] {
            let under_way = pipe.under_way();
            let lost = self.choices.choose("torn-off", under_way as u64 + 1) as usize;
            pipe.tear(under_way - lost);
            self.links.wires.tally.lost_bytes += lost as u64;
        }
    }

    /// Nothing is in the way any more: what waited goes on.
    pub(crate) fn way_is_free(&mut self, pair: u32, way: usize) {
        self.let_way_go(pair, way);
        let wires = self.links.wires.all.iter_mut().filter(|(_, wire)| wire.pair == pair);
        let mut free = Vec::new();
        for (number, wire) in wires {
            let is_on_it = |step: &mut Opening| (*step == Opening::Call) == (wire.dialer == way);
            free.push((*number, wire.opening.take_if(is_on_it)));
        }
        for (wire, opening) in free {
            self.arrives_at(wire, way, Some(self.now));
            if let Some(step) = opening {
                let due = Due::Bytes(BytesDue::Opening(wire, step));
                self.schedule.add(self.now, due, &mut self.choices);
            }
        }
    }
}
