//! What flows over the link in use, in a turn of one side.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use dx_agents::Down;
use dx_transport::linking::Outcome;
use dx_transport::outbox::Refusal;
use dx_transport::session::{CloseCode, Received, SendQueue, Signal, Timeout};
use dx_transport::time::Instant;

use super::end::{End, Live};
use super::frames::Said;
use super::{Side, frames};
use crate::network::{Frame, Parcel};
use crate::sim::Sim;
use crate::trace::Measured;

/// A timer that is this late means that the process did not run: as in the mesh.
const STALL: std::time::Duration = std::time::Duration::from_millis(500);

impl Sim {
    /// Reads what has come. Returns whether another look is needed.
    pub(super) fn read_link(&mut self, end: &mut End, side: Side) -> bool {
        let Some(live) = &mut end.live else { return false };
        let Some(wire) = self.links.wires.all.get_mut(&live.wire) else { return false };
        let mut received = Received::default();
        let (mut has_broken, mut was_full, mut violation) = (false, false, None);
        for (channel, pipe) in wire.pipes[1 - side.at].iter_mut().enumerate() {
            while pipe.readable() > 0 && violation.is_none() {
                was_full |= pipe.room() == 0;
                let read = end.session.with_slots(channel, |slots| pipe.read(slots));
                let Some(count) = read else { break };
                let result = end.session.on_read(side.now, channel, count, &mut received);
                violation = result.err();
            }
            if pipe.is_over() && !std::mem::replace(&mut live.channels[channel].1, true) {
                // What ends the link, and why, is said on channel 0.
                has_broken |= channel == 0;
            }
        }
        if was_full {
            let after = self.config.network.delay.draw(&mut self.choices);
            self.ask_turn(side.pair, 1 - side.at, self.after(after));
        }
        let has_more = has_broken || !received.signals.is_empty();
        self.take_in(end, side, received);
        if let Some(violation) = violation {
            self.links.wires.tally.violations += 1;
            let text = format!("node {} of node {}: {violation}", side.node, side.peer);
            self.fail("sessions keep to their protocol", text);
            has_broken = true;
        }
        if has_broken {
            self.lose_link(end, side, Outcome::Broke);
        }
        has_more
    }

    fn take_in(&mut self, end: &mut End, side: Side, received: Received) {
        for batch in received.batches {
            let lane = batch.lane();
            end.consumed[lane.index()] += batch.credit() as u64;
            end.session.consumed(lane, end.consumed[lane.index()]);
            // What an earlier life has sent is owed to nobody any more.
            let peer = &self.nodes[side.peer as usize];
            let is_alive = peer.is_up() && peer.incarnation == batch.incarnation();
            let life = if is_alive { peer.life } else { 0 };
            match frames::decode(&batch, self.nodes[side.node as usize].incarnation) {
                Ok(said) => said.into_iter().for_each(|said| self.understand(side, life, said)),
                Err(bad) => self.fail("nodes send frames", bad.to_string()),
            }
        }
        for signal in &received.signals {
            self.on_signal(end, side, signal);
        }
    }

    /// One frame has come whole, and once.
    fn understand(&mut self, side: Side, life: u32, said: Said) {
        let (from, to) = (side.peer, side.node);
        self.links.tally.arrived += 1;
        let mut frame = match said {
            Said::Frame(frame) => frame,
            Said::Probe { to: who, round, lane } => {
                return self.accept_probe_of(from, to, who, round, lane);
            }
        };
        if let Frame::Letter(outgoing) = &mut frame
            && let Ok(Measured { hash, .. }) = self.trace.measure(&outgoing.body, usize::MAX)
        {
            outgoing.hash = hash;
        }
        let way = 1 - side.at;
        if self.is_by_hand(from, to, &frame) {
            let direction = &mut self.links.pairs[side.pair as usize].ways[way];
            let parcel = Parcel { pair: side.pair, up: way == 0, session: 0, frame };
            direction.held.push_back(self.links.parcels.put(parcel));
            return;
        }
        self.accept(from, to, frame, life);
    }

    fn on_signal(&mut self, end: &mut End, side: Side, signal: &Signal) {
        match signal {
            Signal::Synced | Signal::GoAway => {}
            Signal::Lost(lost) => self.say_lost(end, side, &[*lost]),
            Signal::Closed { code: CloseCode::Replaced, .. } => {
                self.lose_link(end, side, Outcome::Replaced);
            }
            Signal::Closed { code: CloseCode::SessionEnded, .. } => {
                self.lose_link(end, side, Outcome::Broke);
                self.forget_session(end, side);
            }
            // Nodes of a world neither drain nor accuse each other.
            Signal::Closed { .. } => self.lose_link(end, side, Outcome::Failed),
        }
    }

    /// Does what is due. Returns whether another look is needed.
    pub(super) fn keep_time(&mut self, end: &mut End, side: Side) -> bool {
        match end.session.on_timeout(side.now) {
            Timeout::Nothing => {}
            Timeout::LinkSilent => {
                self.links.wires.tally.silent += 1;
                self.lose_link(end, side, Outcome::Failed);
                self.is_down(end, side);
            }
            Timeout::Expired => self.forget_session(end, side),
        }
        if let Some(at) = end.down_at.filter(|at| *at <= side.now) {
            // If nobody looked when its time was over, this process did not run.
            if side.now.since(at) >= STALL {
                end.down_at = Some(side.now + self.config.network.silence);
            } else {
                self.is_down(end, side);
            }
        }
        self.watch_silence(end, side);
        self.dial(end, side)
    }

    /// The peer is out of reach: said once.
    pub(super) fn is_down(&mut self, end: &mut End, side: Side) {
        end.down_at = None;
        if std::mem::take(&mut end.is_up) {
            self.tell_watchers(side.pair, side.at, Down::NoConnection);
        }
    }

    /// Writes what there is to write. Returns whether another look is needed.
    pub(super) fn write_link(&mut self, end: &mut End, side: Side) -> bool {
        self.give(end, side);
        let Some(mut live) = end.live.take() else { return false };
        for channel in 0..live.channels.len() {
            while let Some(chunk) = self.next_chunk(end, &mut live, side, channel) {
                self.write(live.wire, side.at, channel, chunk);
            }
        }
        end.live = Some(live);
        false
    }

    fn give(&mut self, end: &mut End, side: Side) {
        let speech = &mut self.links.pairs[side.pair as usize].ways[side.at].speech;
        if let Err(refusal) = speech.give(self.now, &mut end.outbox) {
            self.refused(refusal);
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        self.fail("a session takes what a node says", format!("{refusal:?}"));
    }

    /// Bytes that may be written now, at most what there is room for.
    fn next_chunk(
        &mut self,
        end: &mut End,
        live: &mut Live,
        side: Side,
        channel: usize,
    ) -> Option<Bytes> {
        let room = self.links.wires.all.get(&live.wire)?.pipes[side.at][channel].room();
        if room == 0 {
            return None;
        }
        let queue = &mut live.channels[channel].0;
        if queue.is_empty() {
            end.session.poll_transmit(side.now, channel, &mut end.outbox, queue);
            if !end.outbox.take_freed().is_empty() {
                let speech = &mut self.links.pairs[side.pair as usize].ways[side.at].speech;
                if let Err(refusal) = speech.give(self.now, &mut end.outbox) {
                    self.fail("a session takes what a node says", format!("{refusal:?}"));
                }
            }
        }
        cut(queue, room)
    }
}

/// What is left for channel 0, with the session's last words.
pub(super) fn remains(end: &mut End, live: &mut Live, now: Instant) -> Option<Bytes> {
    let queue = &mut live.channels[0].0;
    let _ = end.session.poll_transmit(now, 0, &mut end.outbox, queue);
    cut(queue, usize::MAX)
}

/// Takes up to `room` bytes off the front of a queue.
fn cut(queue: &mut SendQueue, room: usize) -> Option<Bytes> {
    let mut taken = VecDeque::new();
    let mut left = room;
    queue.consume(|segments| {
        for segment in segments {
            let count = segment.len().min(left);
            left -= count;
            taken.push_back(segment.split_to(count));
        }
    });
    let first = taken.pop_front().filter(|first| !first.is_empty())?;
    if taken.iter().all(Bytes::is_empty) {
        return Some(first);
    }
    let mut all = BytesMut::from(&first[..]);
    for segment in &taken {
        all.extend_from_slice(segment);
    }
    Some(all.freeze())
}
