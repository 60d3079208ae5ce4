//! A session with its outbox and an application, checked after every step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dx_transport::buffer::BufferPool;
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{Incarnation, NodeId, SessionNonce};
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::limits::MAX_FRAME;
use dx_transport::outbox::Outbox;
use dx_transport::session::{
    Attached, Lost, Received, SendQueue, Session, SessionConfig, Signal, Timeout, Timing, Violation,
};
use dx_transport::time::Instant;

use crate::assert_printable;

/// What one read may allocate beside the messages: the largest staging buffer.
const MOST_ROOM: usize = 1024 * 1024;

/// A node under test.
pub struct Node {
    pub session: Session,
    pub outbox: Outbox,
    pub now: Instant,
    pub lanes: Vec<LaneConfig>,
    /// What the application received, per lane, with its numbers.
    pub received: Vec<Vec<(u64, Bytes)>>,
    pub signals: Vec<Signal>,
    pub channels: usize,
    id: u32,
    nonces: u64,
    held: Vec<usize>,
    consumed: Vec<u64>,
    /// The number that the next message has, per lane, as far as the signals tell.
    next: Vec<u64>,
    heard: Instant,
}

impl Node {
    /// A node with `lanes` and no link.
    #[must_use]
    pub fn new(id: u32, lanes: Vec<LaneConfig>) -> Self {
        let count = lanes.len();
        let config = SessionConfig {
            lanes: lanes.clone(),
            timing: Timing::default(),
            pool: BufferPool::new(1 << 20),
        };
        let nonces = u64::from(id) << 32;
        let now = Instant(1_000_000_000);
        Self {
            session: Session::new(Arc::new(config), SessionNonce(nonces)),
            outbox: Outbox::new(&lanes),
            now,
            lanes,
            received: vec![Vec::new(); count],
            signals: Vec::new(),
            channels: 1,
            id,
            nonces,
            held: vec![0; count],
            consumed: vec![0; count],
            next: vec![0; count],
            heard: now,
        }
    }

    /// What it says in a handshake.
    #[must_use]
    pub fn hello(&self) -> Hello {
        hello(self.id, self.session.nonce(), &self.lanes)
    }

    pub fn attach(&mut self, peer: &Hello, channels: usize) -> Attached {
        self.channels = channels;
        self.heard = self.now;
        let attached = self.session.attach(self.now, channels, peer, &mut self.outbox);
        if !attached.resumed {
            self.next.fill(0);
        }
        check_lost(&attached.lost);
        self.check();
        attached
    }

    pub fn detach(&mut self) {
        self.session.detach(self.now);
        self.check();
    }

    pub fn end(&mut self) {
        self.nonces += 1;
        check_lost(&self.session.end(SessionNonce(self.nonces)));
        self.next.fill(0);
        self.check();
    }

    /// Queues `message`; whether it was accepted.
    pub fn send(&mut self, lane: usize, message: Bytes) -> bool {
        let accepted = self.outbox.push_bytes(Lane(lane as u8), message);
        if accepted.is_ok_and(|accepted| accepted.end_session) {
            self.end();
        }
        accepted.is_ok()
    }

    /// All that may be written on `channel` now.
    pub fn transmit(&mut self, channel: usize) -> Vec<u8> {
        let mut queue = SendQueue::default();
        let has_sent = self.session.poll_transmit(self.now, channel, &mut self.outbox, &mut queue);
        assert_eq!(has_sent, !queue.is_empty());
        let mut bytes = Vec::with_capacity(queue.len());
        queue.consume(|segments| segments.iter().for_each(|part| bytes.extend_from_slice(part)));
        assert!(bytes.len() < 4 * MAX_FRAME, "{} bytes in one filling", bytes.len());
        self.check();
        bytes
    }

    /// Reads as many of `bytes` as one read takes, and at most `chunk`; returns their number, 0
    /// if the channel must not be read.
    ///
    /// # Errors
    /// If the peer broke the protocol.
    pub fn read(&mut self, channel: usize, bytes: &[u8], chunk: usize) -> Result<usize, Violation> {
        let mut left = &bytes[..bytes.len().min(chunk.max(1))];
        let before = left.len();
        let count = self.session.with_slots(channel, |slots| {
            let room: usize = slots.iter().map(|slot| slot.len()).sum();
            assert!(room > 0 || before == 0, "there is no room to read into");
            assert!(room <= MOST_ROOM, "room for {room} bytes");
            for slot in slots {
                let (taken, rest) = left.split_at(left.len().min(slot.len()));
                slot[..taken.len()].copy_from_slice(taken);
                left = rest;
            }
            before - left.len()
        });
        let Some(count) = count else { return Ok(0) };
        self.heard = self.now;
        let mut received = Received::default();
        let result = self.session.on_read(self.now, channel, count, &mut received);
        self.take(received);
        self.check();
        if let Err(violation) = &result {
            assert_printable(&violation.to_string());
        }
        result.map(|()| count)
    }

    /// Reads all of `bytes` in chunks of the given sizes, over and over.
    ///
    /// # Errors
    /// If the peer broke the protocol.
    pub fn read_all(
        &mut self,
        channel: usize,
        mut bytes: &[u8],
        chunks: &[u16],
    ) -> Result<(), Violation> {
        let mut sizes = chunks.iter().map(|size| usize::from(*size)).cycle();
        while !bytes.is_empty() {
            let count = self.read(channel, bytes, sizes.next().unwrap_or(usize::MAX))?;
            if count == 0 {
                return Ok(());
            }
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn take(&mut self, received: Received) {
        for signal in &received.signals {
            match signal {
                Signal::Lost(lost) => check_lost(&[*lost]),
                Signal::Closed { reason, .. } => assert_printable(reason),
                Signal::Synced | Signal::GoAway => {}
            }
        }
        for batch in &received.batches {
            let lane = batch.lane().index();
            self.held[lane] += batch.credit();
            assert!(batch.count() <= batch.bytes() as u64, "messages that cost no credit");
            assert!(batch.bytes() <= batch.credit());
            assert!(batch.first() >= self.next[lane], "a message came twice");
            let mut number = batch.first();
            for message in batch {
                assert!(message.len() <= self.lanes[lane].max_message, "a message is too long");
                self.received[lane].push((number, message.to_bytes()));
                number += 1;
            }
            assert_eq!(number, batch.first() + batch.count());
            self.next[lane] = number;
        }
        self.signals.extend(received.signals);
    }

    /// The application takes `share` of 255 parts of what it holds of `lane`.
    pub fn consume(&mut self, lane: usize, share: u8) {
        let taken = self.held[lane] * usize::from(share) / 255;
        self.held[lane] -= taken;
        self.consumed[lane] += taken as u64;
        self.session.consumed(Lane(lane as u8), self.consumed[lane]);
        self.check();
    }

    /// Time passes, in which this process does not run.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        match self.session.on_timeout(self.now) {
            Timeout::Nothing => {}
            Timeout::LinkSilent => self.detach(),
            Timeout::Expired => self.end(),
        }
        self.check();
    }

    /// Time passes and nothing is heard: the link must be given up in time. A link that `is_stuck`
    /// takes no bytes.
    pub fn idle(&mut self, is_stuck: bool) {
        let start = self.now;
        while self.session.is_attached() {
            assert!(self.now.since(start) < Duration::from_secs(10), "never given up");
            let deadline = self.session.deadline().expect("a link has a deadline");
            self.now = self.now.max(deadline);
            self.advance(Duration::from_millis(10));
            for channel in (0..self.channels).filter(|_| !is_stuck) {
                self.transmit(channel);
            }
        }
    }

    fn check(&self) {
        self.session.check();
        for (lane, stats) in self.session.stats().lanes.iter().enumerate() {
            let config = &self.lanes[lane];
            assert_eq!(stats.held_bytes, self.held[lane], "lane {lane}");
            assert!(stats.assembly_bytes <= config.max_message);
            assert!(stats.held_bytes <= config.window_bytes + config.max_message);
            assert!(stats.unacked_bytes <= config.replay_bytes + MAX_FRAME);
            assert!(
                self.outbox.backlog(Lane(lane as u8)).bytes
                    <= config.queue_bytes.max(config.max_message) + 3
            );
        }
    }
}

/// What a node with these `lanes` says in a handshake.
#[must_use]
pub fn hello(node: u32, session: SessionNonce, lanes: &[LaneConfig]) -> Hello {
    Hello {
        features: 0,
        cluster: "fuzz".parse().expect("a cluster's name"),
        node: NodeId(node),
        incarnation: Incarnation(1),
        expects: None,
        session,
        lanes: lanes.iter().map(LaneOffer::of).collect(),
        challenge: [node as u8; 32],
    }
}

fn check_lost(lost: &[Lost]) {
    assert!(lost.iter().all(|lost| lost.from < lost.to), "{lost:?}");
}
