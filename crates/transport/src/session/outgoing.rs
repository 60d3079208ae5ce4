//! One lane's sending half: numbers frames, keeps them until acknowledged, replays them.

use std::collections::VecDeque;
use std::mem;

use bytes::{Bytes, BytesMut};

use crate::frame::{FLAG_FIRST, HEADER, Header, Kind, fits};
use crate::hello::LaneOffer;
use crate::lane::{Delivery, Lane, LaneConfig};
use crate::limits::{FRAME_CREDIT, MAX_FRAME};
use crate::outbox::{Item, Outbox};
use crate::session::control::{Ack, LaneSync};
use crate::session::report::{Direction, LaneStats, Lost, Violation};
use crate::session::send_queue::SendQueue;

/// Headers are cut from blocks of this size: an allocation for every 64 frames.
const HEADER_BLOCK: usize = 64 * HEADER;

#[derive(Debug)]
pub(crate) struct Outgoing {
    lane: Lane,
    is_reliable: bool,
    replay_bytes: usize,
    /// Frames numbered so far, the messages in them, and the credit that they took.
    next_frame: u64,
    next_message: u64,
    used_credit: u64,
    /// Bytes of credit that the peer has granted since the session began.
    limit: u64,
    /// Messages whose last frame is acknowledged.
    acked_messages: u64,
    /// Frames that are not acknowledged, oldest first. Those from `replay` on wait to be sent
    /// (again) over the current link.
    unacked: VecDeque<Sent>,
    unacked_bytes: usize,
    replay: usize,
    /// A message that is larger than a frame and partly sent.
    cut: Option<Cut>,
    is_stalled: bool,
}

/// A frame as it was sent. At-most-once lanes keep no bytes.
#[derive(Debug)]
struct Sent {
    head: Bytes,
    body: Bytes,
    /// Length of the frame's body.
    len: usize,
    /// Credit that the frame takes.
    credit: usize,
    /// Messages that end in this frame.
    messages: u32,
}

#[derive(Debug)]
struct Cut {
    message: Bytes,
    offset: usize,
}

impl Outgoing {
    pub(crate) fn new(lane: Lane, config: &LaneConfig) -> Self {
        Self {
            lane,
            is_reliable: config.delivery == Delivery::Reliable,
            replay_bytes: config.replay_bytes,
            next_frame: 0,
            next_message: 0,
            used_credit: 0,
            limit: 0,
            acked_messages: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            replay: 0,
            cut: None,
            is_stalled: false,
        }
    }

    /// A new link: what is unacknowledged will be sent again, or is lost on an at-most-once lane.
    pub(crate) fn attach(&mut self, peer: &LaneOffer, outbox_limit: &mut usize) {
        *outbox_limit = (*outbox_limit).min(peer.max_message as usize);
        self.replay = 0;
        if !self.is_reliable {
            self.forget();
        }
    }

    /// The session is over: reports and forgets what is unacknowledged.
    pub(crate) fn end(&mut self, stats: &mut LaneStats) -> Option<Lost> {
        let (from, to) = (self.acked_messages, self.next_message);
        self.forget();
        (self.next_frame, self.next_message, self.used_credit) = (0, 0, 0);
        (self.limit, self.acked_messages) = (0, 0);
        stats.lost_messages = stats.lost_messages.saturating_add(to - from);
        (from < to).then_some(Lost { lane: self.lane, from, to, direction: Direction::Sent })
    }

    fn forget(&mut self) {
        self.unacked.clear();
        self.unacked_bytes = 0;
        self.replay = 0;
        self.cut = None;
        self.acked_messages = self.next_message;
    }

    /// What SYNC says of this half; the receiving half fills in the rest.
    pub(crate) fn sync(&self) -> LaneSync {
        LaneSync {
            next_frame: self.next_frame,
            next_message: self.next_message,
            used_credit: self.used_credit,
            ..LaneSync::default()
        }
    }

    /// The peer says how far it has received and how much more it allows.
    pub(crate) fn on_ack(&mut self, ack: Ack) -> Result<(), Violation> {
        if ack.frames > self.next_frame {
            let (lane, acked, sent) = (self.lane, ack.frames, self.next_frame);
            return Err(Violation::AckBeyondSent { lane, acked, sent });
        }
        self.limit = self.limit.max(ack.limit);
        let first_unacked = self.next_frame - self.unacked.len() as u64;
        let acked = usize::try_from(ack.frames.saturating_sub(first_unacked)).unwrap_or(usize::MAX);
        for sent in self.unacked.drain(..acked.min(self.unacked.len())) {
            self.unacked_bytes -= sent.len;
            self.acked_messages += u64::from(sent.messages);
        }
        self.replay = self.replay.saturating_sub(acked);
        Ok(())
    }

    /// Whether a frame can be sent now.
    pub(crate) fn can_send(&mut self, outbox: &Outbox, stats: &mut LaneStats) -> bool {
        if self.replay < self.unacked.len() {
            return true;
        }
        let Some(len) = self.next_len(outbox) else { return false };
        let over_credit = self.used_credit + (len + FRAME_CREDIT) as u64 > self.limit;
        let over_replay =
            self.kept_bytes() + len + FRAME_CREDIT > self.replay_bytes && !self.unacked.is_empty();
        let is_stalled = over_credit || over_replay;
        if is_stalled && !mem::replace(&mut self.is_stalled, is_stalled) {
            stats.credit_stalls += u64::from(over_credit);
            stats.replay_stalls += u64::from(over_replay && !over_credit);
        }
        self.is_stalled = is_stalled;
        !is_stalled
    }

    fn next_len(&self, outbox: &Outbox) -> Option<usize> {
        match &self.cut {
            Some(cut) => Some((cut.message.len() - cut.offset).min(MAX_FRAME)),
            None => outbox.next_len(self.lane),
        }
    }

    /// Sends one frame; [`Self::can_send`] said yes. Returns its length.
    pub(crate) fn send(
        &mut self,
        outbox: &mut Outbox,
        headers: &mut Headers,
        queue: &mut SendQueue,
        stats: &mut LaneStats,
    ) -> usize {
        if self.replay < self.unacked.len() {
            stats.replayed_frames += 1;
        } else {
            let sent = self.next_frame(outbox, headers);
            self.next_frame += 1;
            self.used_credit += sent.credit as u64;
            self.unacked_bytes += sent.len;
            stats.sent_frames += 1;
            stats.sent_bytes += sent.len as u64;
            stats.sent_messages += u64::from(sent.messages);
            self.unacked.push_back(sent);
        }
        let sent = &mut self.unacked[self.replay];
        self.replay += 1;
        if self.is_reliable {
            queue.push(sent.head.clone());
            queue.push(sent.body.clone());
        } else {
            queue.push(mem::take(&mut sent.head));
            queue.push(mem::take(&mut sent.body));
        }
        HEADER + sent.len
    }

    fn next_frame(&mut self, outbox: &mut Outbox, headers: &mut Headers) -> Sent {
        if let Some(cut) = self.cut.take() {
            return self.fragment(cut, headers);
        }
        match outbox.take(self.lane).expect("can_send saw an item") {
            Item::Batch { frame, count } => self.batch(frame, count),
            Item::Single(message) if message.len() <= MAX_FRAME => self.single(message, headers),
            Item::Single(message) => {
                self.next_message += 1;
                self.fragment(Cut { message, offset: 0 }, headers)
            }
        }
    }

    fn batch(&mut self, mut frame: BytesMut, count: u32) -> Sent {
        let len = frame.len() - HEADER;
        frame[..HEADER].copy_from_slice(&self.header(Kind::Batch, 0, len, count).encode());
        self.next_message += u64::from(count);
        let credit = len + FRAME_CREDIT;
        Sent { head: Bytes::new(), body: frame.freeze(), len, credit, messages: count }
    }

    fn single(&mut self, message: Bytes, headers: &mut Headers) -> Sent {
        let len = message.len();
        let head = headers.put(&self.header(Kind::Data, 0, len, 0));
        self.next_message += 1;
        Sent { head, body: message, len, credit: len + FRAME_CREDIT, messages: 1 }
    }

    fn fragment(&mut self, cut: Cut, headers: &mut Headers) -> Sent {
        let Cut { message, offset } = cut;
        let len = (message.len() - offset).min(MAX_FRAME);
        let flags = if offset == 0 { FLAG_FIRST } else { 0 };
        let head = headers.put(&self.header(Kind::Fragment, flags, len, fits(message.len())));
        let end = offset + len;
        let body = message.slice(offset..end);
        let is_last = end == message.len();
        if !is_last {
            self.cut = Some(Cut { message, offset: end });
        }
        Sent { head, body, len, credit: len, messages: u32::from(is_last) }
    }

    fn header(&self, kind: Kind, flags: u16, len: usize, extra: u32) -> Header {
        let seq = (self.next_frame & u64::from(u32::MAX)) as u32;
        Header { kind, lane: self.lane.0, flags, len: fits(len), seq, extra }
    }

    /// Whether all that was numbered is acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.unacked.is_empty() && self.cut.is_none()
    }

    pub(crate) fn sent_messages(&self) -> u64 {
        self.next_message
    }

    pub(crate) fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }

    /// About the memory of what is unacknowledged. Bodies alone would let a peer that grants credit
    /// and acknowledges nothing pile up the records of tiny frames.
    fn kept_bytes(&self) -> usize {
        self.unacked_bytes + self.unacked.len() * FRAME_CREDIT
    }

    pub(crate) fn credit_bytes(&self) -> u64 {
        self.limit.saturating_sub(self.used_credit)
    }

    pub(crate) fn check(&self) {
        assert!(self.replay <= self.unacked.len());
        assert!(self.unacked.len() as u64 <= self.next_frame);
        assert_eq!(self.unacked_bytes, self.unacked.iter().map(|sent| sent.len).sum::<usize>());
        assert!(self.acked_messages <= self.next_message);
    }
}

/// Allocates headers in blocks.
#[derive(Debug, Default)]
pub(crate) struct Headers(BytesMut);

impl Headers {
    pub(crate) fn put(&mut self, header: &Header) -> Bytes {
        if self.0.capacity() < HEADER {
            self.0.reserve(HEADER_BLOCK);
        }
        self.0.extend_from_slice(&header.encode());
        self.0.split().freeze()
    }
}
