//! The outbox against a plain queue of messages.
#![no_main]

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use bytes::Bytes;
use dx_fuzz::node::hello;
use dx_fuzz::peer::control;
use dx_transport::buffer::BufferPool;
use dx_transport::frame::{HEADER, Header, Kind, next_message, varint_len};
use dx_transport::id::SessionNonce;
use dx_transport::lane::{Delivery, Lane, LaneConfig, Overflow};
use dx_transport::limits::{COPY_THRESHOLD, MAX_FRAME};
use dx_transport::outbox::{Outbox, Refusal};
use dx_transport::session::{Received, SendQueue, Session, SessionConfig, Timing};
use dx_transport::time::Instant;
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant(1);
const OVERFLOWS: [Overflow; 4] =
    [Overflow::Refuse, Overflow::DropNewest, Overflow::DropOldest, Overflow::EndSession];

#[derive(Arbitrary, Debug)]
struct Input {
    queue_bytes: u16,
    max_message: u32,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Push {
        lane: u8,
        len: Len,
        is_shared: bool,
    },
    /// Many of the same length.
    PushMany {
        lane: u8,
        len: u8,
        count: u8,
    },
    Transmit,
    Shrink,
    Close,
}

#[derive(Arbitrary, Debug)]
enum Len {
    Small(u8),
    /// Around the threshold above which messages are not copied.
    Threshold(i8),
    Any(u32),
}

fuzz_target!(|input: Input| {
    let mut world = World::new(&input);
    input.steps.iter().take(200).for_each(|step| world.step(step));
    world.transmit();
});

struct World {
    outbox: Outbox,
    session: Session,
    lanes: Vec<LaneConfig>,
    /// Per lane, the messages accepted and not yet sent.
    queued: Vec<VecDeque<Bytes>>,
    /// Per lane, what is there of a message in fragments.
    partial: Vec<Vec<u8>>,
    count: u8,
    is_awake: bool,
    is_closed: bool,
}

impl World {
    fn new(input: &Input) -> Self {
        let lane = |overflow| LaneConfig {
            delivery: Delivery::AtMostOnce,
            overflow,
            queue_bytes: usize::from(input.queue_bytes),
            max_message: input.max_message as usize % 300_000,
            replay_bytes: usize::MAX,
            ..LaneConfig::new("fuzz", 1)
        };
        let lanes: Vec<_> = OVERFLOWS.map(lane).into();
        let mut outbox = Outbox::new(&lanes);
        let session = session(&lanes, &mut outbox);
        let (queued, partial) = (vec![VecDeque::new(); 4], vec![Vec::new(); 4]);
        Self {
            outbox,
            session,
            lanes,
            queued,
            partial,
            count: 0,
            is_awake: false,
            is_closed: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Push { lane, len, is_shared } => {
                let len = match len {
                    Len::Small(len) => usize::from(*len),
                    Len::Threshold(by) => COPY_THRESHOLD.saturating_add_signed(isize::from(*by)),
                    Len::Any(len) => *len as usize % 300_000,
                };
                self.push(usize::from(lane % 4), len, *is_shared);
            }
            Step::PushMany { lane, len, count } => {
                for _ in 0..*count {
                    self.push(usize::from(lane % 4), usize::from(*len), false);
                }
            }
            Step::Transmit => self.transmit(),
            Step::Shrink => self.outbox.shrink(),
            Step::Close => {
                self.outbox.close();
                self.is_closed = true;
            }
        }
        self.check();
    }

    fn push(&mut self, lane: usize, len: usize, is_shared: bool) {
        self.count = self.count.wrapping_add(1);
        let message = Bytes::from(vec![self.count; len]);
        let config = &self.lanes[lane];
        let has_room = self.queued[lane].is_empty() || self.bytes(lane) + len <= config.queue_bytes;
        let id = Lane(lane as u8);
        let result = if is_shared {
            self.outbox.push_bytes(id, message.clone())
        } else {
            self.outbox.push(id, &message)
        };
        let accepted = match result {
            Err(refusal) => {
                let expected = match refusal {
                    Refusal::Closed => self.is_closed,
                    Refusal::TooLarge { limit } => len > limit && limit == config.max_message,
                    Refusal::Full { .. } => !has_room && config.overflow == Overflow::Refuse,
                    Refusal::UnknownLane => false,
                };
                return assert!(expected, "{refusal:?}");
            }
            Ok(accepted) => accepted,
        };
        assert!(!self.is_closed && len <= config.max_message);
        assert!(!has_room || (accepted.dropped == 0 && !accepted.slow && !accepted.end_session));
        assert_eq!(accepted.end_session, !has_room && config.overflow == Overflow::EndSession);
        if !has_room && config.overflow == Overflow::DropNewest {
            assert_eq!((accepted.dropped, accepted.wake), (1, false));
            return;
        }
        assert_eq!(accepted.wake, !self.is_awake);
        self.is_awake = true;
        self.queued[lane].drain(..accepted.dropped as usize);
        self.queued[lane].push_back(message);
    }

    /// Everything queued is sent, and is what the model has.
    fn transmit(&mut self) {
        loop {
            let mut queue = SendQueue::default();
            let has_sent = self.session.poll_transmit(NOW, 0, &mut self.outbox, &mut queue);
            self.is_awake = false;
            let mut bytes = Vec::new();
            queue.consume(|parts| parts.iter().for_each(|part| bytes.extend_from_slice(part)));
            self.hear(&bytes);
            self.check();
            if !has_sent {
                break;
            }
        }
        assert!(self.outbox.is_empty() && self.queued.iter().all(VecDeque::is_empty));
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(head) = bytes.first_chunk::<HEADER>() {
            let header = Header::decode(head).expect("a valid header");
            assert!(header.len as usize <= MAX_FRAME);
            let (mut body, rest) = bytes[HEADER..].split_at(header.len as usize);
            let lane = usize::from(header.lane);
            match header.kind {
                Kind::Batch => {
                    for _ in 0..header.extra {
                        self.arrive(lane, next_message(&mut body).expect("a whole message"));
                    }
                    assert!(body.is_empty());
                }
                Kind::Data => self.arrive(lane, body),
                Kind::Fragment => {
                    self.partial[lane].extend_from_slice(body);
                    if self.partial[lane].len() == header.extra as usize {
                        let message = std::mem::take(&mut self.partial[lane]);
                        self.arrive(lane, &message);
                    }
                }
                _ => {}
            }
            bytes = rest;
        }
    }

    fn arrive(&mut self, lane: usize, message: &[u8]) {
        let front = self.queued[lane].pop_front().expect("nothing is sent that was not queued");
        assert!(front == message, "another message was sent");
    }

    fn bytes(&self, lane: usize) -> usize {
        let len = |message: &Bytes| match message.len() {
            len @ 0..=COPY_THRESHOLD => len + varint_len(len),
            len => len,
        };
        self.queued[lane].iter().map(len).sum()
    }

    fn check(&self) {
        for lane in 0..4 {
            let backlog = self.outbox.backlog(Lane(lane as u8));
            // A message of which some fragments are sent is no longer in the outbox.
            let is_cut = usize::from(!self.partial[lane].is_empty());
            assert_eq!(backlog.messages as usize, self.queued[lane].len() - is_cut);
            if is_cut == 0 {
                assert_eq!(backlog.bytes, self.bytes(lane));
            }
        }
    }
}

/// A session that sends whatever it gets.
fn session(lanes: &[LaneConfig], outbox: &mut Outbox) -> Session {
    let config = SessionConfig {
        lanes: lanes.to_vec(),
        timing: Timing::default(),
        pool: BufferPool::new(0),
    };
    let mut session = Session::new(config.into(), SessionNonce(1));
    session.attach(NOW, 1, &hello(2, SessionNonce(2), lanes), outbox);
    let mut sync = vec![lanes.len() as u8];
    for _ in lanes {
        [0, 0, 0, 0, u64::MAX].iter().for_each(|word: &u64| sync.extend(word.to_le_bytes()));
    }
    let frame = control(Kind::Sync, &sync);
    session.with_slots(0, |slots| slots[0][..frame.len()].copy_from_slice(&frame));
    let mut received = Received::default();
    session.on_read(NOW, 0, frame.len(), &mut received).expect("a valid SYNC");
    session
}
