//! Two sessions and a link that is made of byte pipes, which a test may cut, stall and abuse.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dx_transport::buffer::BufferPool;
use dx_transport::frame::{HEADER, Header};
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{ClusterId, Incarnation, NodeId, SessionNonce};
use dx_transport::lane::{Delivery, Lane, LaneConfig, Overflow};
use dx_transport::outbox::Outbox;
use dx_transport::session::{
    Attached, Lost, Received, SendQueue, Session, SessionConfig, Signal, Timeout, Timing, Violation,
};
use dx_transport::time::Instant;

/// One end and what its application did.
pub struct End {
    pub session: Session,
    pub outbox: Outbox,
    id: NodeId,
    pub incarnation: Incarnation,
    nonces: u64,
    lanes: Vec<LaneConfig>,
    /// Payloads accepted for sending, per lane.
    pub sent: Vec<Vec<Bytes>>,
    /// Payloads received, per lane, with their numbers.
    pub received: Vec<Vec<(u64, Bytes)>>,
    /// Bytes received and not yet consumed, per lane; and consumed in all.
    pub held: Vec<usize>,
    consumed: Vec<u64>,
    pub lost: Vec<Lost>,
    pub signals: Vec<Signal>,
    pub attached: Vec<Attached>,
    pub violations: Vec<Violation>,
}

/// Bytes under way in one direction on one channel, and the lengths of the frames they were.
#[derive(Default)]
pub struct Pipe {
    pub bytes: VecDeque<u8>,
    frames: VecDeque<usize>,
    /// Bytes of the first frame that have been delivered.
    delivered: usize,
}

impl Pipe {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Notes where the frames are in what was written since `from`.
    fn note_frames(&mut self, mut from: usize) {
        let bytes = self.bytes.make_contiguous();
        while let Some(header) = bytes[from..].first_chunk::<HEADER>() {
            let len = HEADER + Header::decode(header).unwrap().len as usize;
            self.frames.push_back(len);
            from += len;
        }
        assert_eq!(from, bytes.len(), "whole frames are written");
    }

    fn read(&mut self) -> Option<u8> {
        let byte = self.bytes.pop_front()?;
        self.delivered += 1;
        if self.frames.front() == Some(&self.delivered) {
            self.frames.pop_front();
            self.delivered = 0;
        }
        Some(byte)
    }

    /// Positions and lengths of the frames of which nothing is delivered.
    fn whole_frames(&self) -> Vec<(usize, usize)> {
        let mut at = 0;
        let mut frames = Vec::new();
        for (index, len) in self.frames.iter().enumerate() {
            let left = if index == 0 { len - self.delivered } else { *len };
            if left == *len {
                frames.push((index, at));
            }
            at += left;
        }
        frames
    }
}

pub struct World {
    pub now: Instant,
    pub ends: [End; 2],
    /// `pipes[i]` carries what `ends[i]` wrote.
    pub pipes: [Vec<Pipe>; 2],
    pub channels: usize,
    pub is_linked: bool,
}

pub fn small_lanes(deliveries: &[Delivery]) -> Vec<LaneConfig> {
    let lane = |delivery: &Delivery| LaneConfig {
        delivery: *delivery,
        overflow: Overflow::Refuse,
        queue_bytes: 512 * 1024,
        replay_bytes: 256 * 1024,
        window_bytes: 256 * 1024,
        max_message: 1024 * 1024,
        ..LaneConfig::new("test", 1)
    };
    deliveries.iter().map(lane).collect()
}

impl End {
    fn new(id: u32, lanes: Vec<LaneConfig>) -> Self {
        let pool = BufferPool::new(4 << 20);
        let config = SessionConfig { lanes: lanes.clone(), timing: Timing::default(), pool };
        let count = lanes.len();
        Self {
            session: Session::new(Arc::new(config), SessionNonce(u64::from(id) << 32)),
            outbox: Outbox::new(&lanes),
            id: NodeId(id),
            incarnation: Incarnation(1),
            nonces: u64::from(id) << 32,
            lanes,
            sent: vec![Vec::new(); count],
            received: vec![Vec::new(); count],
            held: vec![0; count],
            consumed: vec![0; count],
            lost: Vec::new(),
            signals: Vec::new(),
            attached: Vec::new(),
            violations: Vec::new(),
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            features: 0,
            cluster: "test".parse::<ClusterId>().unwrap(),
            node: self.id,
            incarnation: self.incarnation,
            expects: None,
            session: self.session.nonce(),
            lanes: self.lanes.iter().map(LaneOffer::of).collect(),
            challenge: [0; 32],
        }
    }

    pub fn end_session(&mut self) {
        self.nonces += 1;
        let lost = self.session.end(SessionNonce(self.nonces));
        self.lost.extend(lost);
    }

    fn take(&mut self, received: Received) {
        for batch in received.batches {
            let lane = batch.lane().index();
            self.held[lane] += batch.credit();
            let mut number = batch.first();
            for message in &batch {
                self.received[lane].push((number, message.to_bytes()));
                number += 1;
            }
            assert_eq!(number, batch.first() + batch.count());
        }
        for signal in received.signals {
            match signal {
                Signal::Lost(lost) => self.lost.push(lost),
                other => self.signals.push(other),
            }
        }
    }
}

impl World {
    pub fn new(lanes: &[LaneConfig], channels: usize) -> Self {
        Self {
            now: Instant(1_000_000_000),
            ends: [End::new(1, lanes.to_vec()), End::new(2, lanes.to_vec())],
            pipes: [0, 1].map(|_| (0..channels).map(|_| Pipe::default()).collect()),
            channels,
            is_linked: false,
        }
    }

    /// Makes a new link in place of any old one; what was under way is gone.
    pub fn link(&mut self) {
        self.cut();
        let hellos = [self.ends[0].hello(), self.ends[1].hello()];
        for (end, peer) in [(0, 1), (1, 0)] {
            let End { session, outbox, attached, lost, .. } = &mut self.ends[end];
            let result = session.attach(self.now, self.channels, &hellos[peer], outbox);
            lost.extend(result.lost.iter().copied());
            attached.push(result);
        }
        self.is_linked = true;
    }

    pub fn cut(&mut self) {
        for end in 0..2 {
            self.ends[end].session.detach(self.now);
            self.pipes[end].iter_mut().for_each(Pipe::clear);
        }
        self.is_linked = false;
    }

    /// Sends a message with contents that its number and lane determine.
    pub fn send(&mut self, end: usize, lane: usize, len: usize) -> bool {
        let End { outbox, sent, .. } = &mut self.ends[end];
        let seed = sent[lane].len() * 31 + lane * 7 + end;
        let payload: Bytes = (0..len).map(|index| (seed + index) as u8).collect::<Vec<_>>().into();
        let is_accepted = outbox.push_bytes(Lane(lane as u8), payload.clone()).is_ok();
        if is_accepted {
            sent[lane].push(payload);
        }
        is_accepted
    }

    /// `end` writes what it has, once.
    pub fn transmit(&mut self, end: usize) -> bool {
        let mut moved = false;
        for channel in 0..self.channels {
            let mut queue = SendQueue::default();
            let End { session, outbox, .. } = &mut self.ends[end];
            moved |= session.poll_transmit(self.now, channel, outbox, &mut queue);
            let pipe = &mut self.pipes[end][channel];
            let from = pipe.bytes.len();
            queue.consume(|segments| {
                for segment in segments {
                    pipe.write(&segment.split_off(0));
                }
            });
            pipe.note_frames(from);
            session.check();
        }
        moved
    }

    /// The other end reads up to `count` bytes of what `end` wrote on `channel`, with one read.
    pub fn deliver(&mut self, end: usize, channel: usize, count: usize) -> usize {
        let pipe = &mut self.pipes[end][channel];
        let count = count.min(pipe.bytes.len());
        let receiver = &mut self.ends[1 - end];
        if count == 0 {
            return 0;
        }
        let read = receiver.session.with_slots(channel, |slots| {
            let mut left = count;
            for slot in slots.iter_mut() {
                for byte in slot.iter_mut().take(left) {
                    *byte = pipe.read().unwrap();
                    left -= 1;
                }
            }
            count - left
        });
        let Some(read) = read else { return 0 };
        let mut received = Received::default();
        let result = receiver.session.on_read(self.now, channel, read, &mut received);
        receiver.take(received);
        receiver.session.check();
        if let Err(violation) = result {
            receiver.violations.push(violation);
            self.cut();
        }
        read
    }

    pub fn consume(&mut self, end: usize, lane: usize) {
        let End { session, held, consumed, .. } = &mut self.ends[end];
        consumed[lane] += std::mem::take(&mut held[lane]) as u64;
        session.consumed(Lane(lane as u8), consumed[lane]);
    }

    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for end in 0..2 {
            match self.ends[end].session.on_timeout(self.now) {
                Timeout::Nothing => {}
                Timeout::LinkSilent => self.cut(),
                Timeout::Expired => self.ends[end].end_session(),
            }
        }
    }

    /// Everything flows until nothing moves any more, time included (for acknowledgements).
    pub fn settle(&mut self) {
        for _ in 0..5_000 {
            if !self.is_linked {
                self.link();
            }
            let mut moved = false;
            for end in 0..2 {
                moved |= self.transmit(end);
                for channel in 0..self.channels {
                    moved |= self.deliver(end, channel, usize::MAX) > 0;
                }
                for lane in 0..self.ends[end].held.len() {
                    self.consume(end, lane);
                }
            }
            let is_drained = |end: &End| end.session.is_drained(&end.outbox);
            if !moved && self.ends.iter().all(is_drained) {
                return;
            }
            if !moved {
                self.advance(Duration::from_millis(20));
            }
        }
        let state = self.ends.each_ref().map(|end| (end.violations.last(), end.session.stats()));
        panic!("the sessions never settled: {state:?}");
    }

    /// Sends a frame under way a second time, right behind itself.
    pub fn duplicate_frame(&mut self, end: usize, channel: usize, choice: usize) {
        let pipe = &mut self.pipes[end][channel];
        let frames = pipe.whole_frames();
        if frames.is_empty() {
            return;
        }
        let (index, at) = frames[choice % frames.len()];
        let len = pipe.frames[index];
        let copy: Vec<u8> = pipe.bytes.range(at..at + len).copied().collect();
        let mut rest = pipe.bytes.split_off(at + len);
        pipe.bytes.extend(copy);
        pipe.bytes.append(&mut rest);
        pipe.frames.insert(index, len);
    }

    /// Swaps two neighbouring frames under way.
    pub fn swap_frames(&mut self, end: usize, channel: usize, choice: usize) {
        let pipe = &mut self.pipes[end][channel];
        let frames = pipe.whole_frames();
        if frames.len() < 2 {
            return;
        }
        let (index, at) = frames[choice % (frames.len() - 1)];
        let (first, second) = (pipe.frames[index], pipe.frames[index + 1]);
        pipe.bytes.make_contiguous()[at..at + first + second].rotate_left(first);
        pipe.frames.swap(index, index + 1);
    }
}
