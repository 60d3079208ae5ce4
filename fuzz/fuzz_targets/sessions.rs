//! Two sessions over a link that is cut at will. As long as no byte is changed, reliable lanes
//! deliver everything once and in order; when bytes are changed, nothing panics or grows.
#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use dx_fuzz::node::Node;
use dx_transport::lane::{Delivery, LaneConfig, Overflow};
use dx_transport::limits::MIN_WINDOW;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    has_channels: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send { end: bool, lane: u8, len: u32 },
    SendMany { end: bool, lane: u8, len: u8, count: u8 },
    Transmit { end: bool },
    Deliver { end: bool, channel: u8, count: u32 },
    Consume { end: bool, lane: u8, share: u8 },
    Advance { ms: u16 },
    Link,
    Cut,
    Flip { end: bool, channel: u8, at: u32, mask: u8 },
    Remove { end: bool, channel: u8, at: u32, count: u8 },
}

fuzz_target!(|input: Input| {
    let mut world = World::new(if input.has_channels { 3 } else { 1 });
    world.link();
    input.steps.iter().take(100).for_each(|step| world.step(step));
    world.settle();
});

struct World {
    ends: [Node; 2],
    /// Bytes that each end wrote, per channel.
    pipes: [Vec<VecDeque<u8>>; 2],
    /// Payloads accepted from each end, per lane.
    sent: [Vec<Vec<Bytes>>; 2],
    channels: usize,
    is_changed: bool,
}

fn lanes() -> Vec<LaneConfig> {
    let lane = LaneConfig {
        delivery: Delivery::Reliable,
        overflow: Overflow::Refuse,
        queue_bytes: 256 * 1024,
        replay_bytes: 128 * 1024,
        window_bytes: MIN_WINDOW,
        max_message: 300_000,
        ..LaneConfig::new("fuzz", 1)
    };
    vec![lane; 3]
}

impl World {
    fn new(channels: usize) -> Self {
        Self {
            ends: [Node::new(1, lanes()), Node::new(2, lanes())],
            pipes: [0, 1].map(|_| vec![VecDeque::new(); channels]),
            sent: [0, 1].map(|_| vec![Vec::new(); 3]),
            channels,
            is_changed: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send { end, lane, len } => self.send(end.into(), lane, len as usize % 300_001),
            Step::SendMany { end, lane, len, count } => {
                (0..count).for_each(|_| self.send(end.into(), lane, len.into()));
            }
            Step::Transmit { end } => drop(self.transmit(end.into())),
            Step::Deliver { end, channel, count } => {
                let channel = usize::from(channel) % self.channels;
                self.deliver(end.into(), channel, count as usize);
            }
            Step::Consume { end, lane, share } => {
                self.ends[usize::from(end)].consume(usize::from(lane) % 3, share);
            }
            Step::Advance { ms } => self.advance(Duration::from_millis(u64::from(ms % 2000))),
            Step::Link => self.link(),
            Step::Cut => self.cut(),
            Step::Flip { end, channel, at, mask } => {
                if let Some(byte) = self.pipe(end, channel).get_mut(at as usize) {
                    *byte ^= mask;
                    self.is_changed |= mask != 0;
                }
            }
            Step::Remove { end, channel, at, count } => {
                let pipe = self.pipe(end, channel);
                let from = pipe.len().min(at as usize);
                let to = pipe.len().min(from + usize::from(count));
                pipe.drain(from..to);
                self.is_changed |= from < to;
            }
        }
    }

    fn pipe(&mut self, end: bool, channel: u8) -> &mut VecDeque<u8> {
        let channel = usize::from(channel) % self.channels;
        &mut self.pipes[usize::from(end)][channel]
    }

    fn send(&mut self, end: usize, lane: u8, len: usize) {
        let lane = usize::from(lane) % 3;
        let seed = self.sent[end][lane].len() * 31 + lane * 7 + end;
        let message: Bytes = (0..len).map(|at| (seed + at) as u8).collect::<Vec<_>>().into();
        if self.ends[end].send(lane, message.clone()) {
            self.sent[end][lane].push(message);
        }
    }

    fn link(&mut self) {
        self.cut();
        let hellos = self.ends.each_ref().map(Node::hello);
        for (end, node) in self.ends.iter_mut().enumerate() {
            node.attach(&hellos[1 - end], self.channels);
        }
    }

    fn cut(&mut self) {
        self.ends.iter_mut().for_each(Node::detach);
        self.pipes.iter_mut().flatten().for_each(VecDeque::clear);
    }

    fn transmit(&mut self, end: usize) -> bool {
        let mut has_sent = false;
        for channel in 0..self.channels {
            let bytes = self.ends[end].transmit(channel);
            has_sent |= !bytes.is_empty();
            self.pipes[end][channel].extend(bytes);
        }
        has_sent
    }

    fn deliver(&mut self, end: usize, channel: usize, count: usize) -> bool {
        let pipe = self.pipes[end][channel].make_contiguous();
        if pipe.is_empty() {
            return false;
        }
        match self.ends[1 - end].read(channel, pipe, count) {
            Ok(count) => drop(self.pipes[end][channel].drain(..count)),
            Err(violation) => {
                assert!(self.is_changed, "an honest peer is accused: {violation}");
                self.cut();
            }
        }
        true
    }

    fn advance(&mut self, duration: Duration) {
        self.ends.iter_mut().for_each(|end| end.advance(duration));
        if !self.is_linked() {
            self.cut();
        }
    }

    fn is_linked(&self) -> bool {
        self.ends.iter().all(|end| end.session.is_attached())
    }

    /// Everything flows until nothing moves any more. After bytes were changed this may lead
    /// nowhere: an acknowledgement that was never given cannot be taken back.
    fn settle(&mut self) {
        for _ in 0..if self.is_changed { 50 } else { 2000 } {
            if !self.is_linked() {
                self.link();
            }
            let mut has_moved = false;
            for end in 0..2 {
                has_moved |= self.transmit(end);
                for channel in 0..self.channels {
                    has_moved |= self.deliver(end, channel, usize::MAX);
                }
                (0..3).for_each(|lane| self.ends[end].consume(lane, u8::MAX));
            }
            let is_drained = |end: &Node| end.session.is_drained(&end.outbox);
            if !has_moved && self.ends.iter().all(is_drained) {
                return self.check_arrived();
            }
            if !has_moved {
                self.advance(Duration::from_millis(20));
            }
        }
        assert!(self.is_changed, "the sessions never settled");
    }

    fn check_arrived(&self) {
        if self.is_changed {
            return;
        }
        for end in 0..2 {
            for lane in 0..3 {
                let received = &self.ends[1 - end].received[lane];
                assert!((0..).zip(&self.sent[end][lane]).eq(received.iter().map(|(n, m)| (*n, m))));
            }
        }
    }
}
