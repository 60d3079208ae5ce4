//! The sending side: what goes onto a channel next.

use bytes::Bytes;

use crate::frame::{HEADER, Header, Kind};
use crate::lane::Lane;
use crate::outbox::Outbox;
use crate::session::control::{self, LaneSync, Sync};
use crate::session::incoming::Incoming;
use crate::session::{LinkState, SendQueue, Session};
use crate::time::Instant;

/// One filling of a send queue: enough for an efficient write, little enough for a control
/// message that comes just after it. 128 KiB take 0.1 ms at 10 Gbit/s.
const FILL_BYTES: usize = 128 * 1024;
/// Segments of one filling: what one vectored write takes.
const FILL_SEGMENTS: usize = 62;

impl Session {
    /// Fills `queue` with what may go onto `channel` now. Returns whether it added anything; if
    /// not, the outbox will report `wake` with the next message.
    ///
    /// Call it again when the queue has been written out.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        channel: usize,
        outbox: &mut Outbox,
        queue: &mut SendQueue,
    ) -> bool {
        let before = queue.len();
        if self.link.is_none() {
            return false;
        }
        if channel == 0 {
            self.transmit_control(now, queue);
        }
        // What is not numbered yet outlives a link that is being closed.
        if self.link.as_ref().is_some_and(LinkState::takes_messages) {
            self.transmit_lanes(channel, outbox, queue);
        }
        if channel == 0 {
            self.transmit_close(queue);
        }
        outbox.park();
        let has_sent = queue.len() > before;
        if let Some(link) = self.link.as_mut().filter(|_| has_sent) {
            link.liveness.on_sent(now);
        }
        has_sent
    }

    fn transmit_control(&mut self, now: Instant, queue: &mut SendQueue) {
        self.transmit_sync(queue);
        let Some(link) = &mut self.link else { return };
        if let Some(nonce) = link.owes_pong.take() {
            push(queue, Kind::Pong, &nonce.to_le_bytes());
        }
        if link.liveness.ping_due(&self.config.timing) <= now {
            link.liveness.on_ping(now);
            push(queue, Kind::Ping, &now.0.to_le_bytes());
        }
        if std::mem::take(&mut link.owes_go_away) {
            push(queue, Kind::GoAway, &[]);
        }
        self.transmit_acks(now, queue);
    }

    fn transmit_sync(&mut self, queue: &mut SendQueue) {
        let Some(link) = self.link.as_mut().filter(|link| link.owes_sync) else { return };
        link.owes_sync = false;
        let lanes = self.outgoing.iter().zip(&mut self.incoming).map(|(outgoing, incoming)| {
            let ack = incoming.take_ack();
            LaneSync { received_frames: ack.frames, limit: ack.limit, ..outgoing.sync() }
        });
        let lanes = lanes.collect();
        let ended = self.ended.as_ref().map(|(ended, _)| ended.clone());
        push(queue, Kind::Sync, &Sync { lanes, ended }.encode());
    }

    fn transmit_acks(&mut self, now: Instant, queue: &mut SendQueue) {
        let delay = self.config.timing.ack_delay;
        if self.incoming.iter().any(|lane| lane.owes_ack(now, delay)) {
            let lanes = self.incoming.iter_mut().filter(|lane| lane.has_news());
            let acks: Vec<_> = lanes.map(Incoming::take_ack).collect();
            if !acks.is_empty() {
                push(queue, Kind::Ack, &control::encode_acks(&acks));
            }
        }
    }

    fn transmit_close(&mut self, queue: &mut SendQueue) {
        let Some(link) = &mut self.link else { return };
        if let Some((code, reason)) = link.close.take() {
            push(queue, Kind::Close, &control::encode_close(code, &reason));
            link.is_closed = true;
        }
    }

    fn transmit_lanes(&mut self, channel: usize, outbox: &mut Outbox, queue: &mut SendQueue) {
        let has_own_lane = self.link.as_ref().is_some_and(|link| link.readers.len() > 1);
        while queue.len() < FILL_BYTES && queue.segments() < FILL_SEGMENTS {
            let (outgoing, stats) = (&mut self.outgoing, &mut self.stats);
            let mut can_send = |lane: Lane| {
                let index = lane.index();
                outgoing[index].can_send(outbox, &mut stats[index])
            };
            let lane = if has_own_lane {
                Some(Lane(channel as u8)).filter(|lane| can_send(*lane))
            } else {
                self.schedule.next(can_send)
            };
            let Some(lane) = lane else { return };
            let stats = &mut self.stats[lane.index()];
            let sent = self.outgoing[lane.index()].send(outbox, &mut self.headers, queue, stats);
            self.schedule.charge(lane, sent);
        }
    }
}

fn push(queue: &mut SendQueue, kind: Kind, body: &[u8]) {
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&Header::control(kind, body.len()).encode());
    frame.extend_from_slice(body);
    queue.push(Bytes::from(frame));
}
