//! One lane's receiving half: drops duplicates, reassembles, grants credit, owes acks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::buffer::{Buffer, BufferPool};
use crate::frame::{FLAG_FIRST, Header};
use crate::hello::LaneOffer;
use crate::lane::{Delivery, Lane, LaneConfig};
use crate::limits::{ACK_BYTES, ACK_FRAMES, FRAME_CREDIT, MAX_FRAME};
use crate::session::control::{Ack, LaneSync};
use crate::session::report::{Direction, LaneStats, Lost, Violation};
use crate::time::Instant;

#[derive(Debug)]
pub(crate) struct Incoming {
    lane: Lane,
    is_reliable: bool,
    max_message: usize,
    window: u64,
    /// Frames and messages accepted in this session, and the credit that they took.
    frames: u64,
    messages: u64,
    used_credit: u64,
    /// Credit of what was handed to the application and taken by it, over the life of the peer.
    delivered: u64,
    consumed: u64,
    assembly: Option<Assembly>,
    /// What the peer may send in all, and what it has been told.
    limit: u64,
    advertised: u64,
    /// Accepted and not yet acknowledged.
    owed_frames: u32,
    owed_bytes: usize,
    owed_since: Option<Instant>,
    ack_bytes: usize,
}

/// A fragmented message on its way. `filled` counts whole frames only: what a broken link
/// delivered of a frame is received again.
struct Assembly {
    buffer: Buffer,
    filled: usize,
    total: usize,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Assembly({} of {})", self.filled, self.total)
    }
}

/// Whether a numbered frame is the one that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Due,
    Duplicate,
}

impl Incoming {
    pub(crate) fn new(lane: Lane, config: &LaneConfig) -> Self {
        let window = config.window_bytes as u64;
        Self {
            lane,
            is_reliable: config.delivery == Delivery::Reliable,
            max_message: config.max_message,
            window,
            frames: 0,
            messages: 0,
            used_credit: 0,
            delivered: 0,
            consumed: 0,
            assembly: None,
            limit: window,
            advertised: 0,
            owed_frames: 0,
            owed_bytes: 0,
            owed_since: None,
            ack_bytes: ACK_BYTES,
        }
    }

    /// A new link: acknowledge early enough for the peer's replay bound and our window.
    pub(crate) fn attach(&mut self, peer: &LaneOffer) {
        let replay = usize::try_from(peer.replay_bytes / 4).unwrap_or(usize::MAX);
        let window = usize::try_from(self.window / 4).unwrap_or(usize::MAX);
        // At least one byte: a peer that offers nothing must not be owed acknowledgements for ever.
        self.ack_bytes = ACK_BYTES.min(replay).min(window).max(1);
        // The last link broke within the first fragment: that comes again, or something else does.
        self.assembly.take_if(|assembly| assembly.filled == 0);
    }

    /// The session is over. Returns the number of messages received in it.
    pub(crate) fn end(&mut self) -> u64 {
        let messages = self.messages;
        (self.frames, self.messages, self.used_credit) = (0, 0, 0);
        self.assembly = None;
        (self.limit, self.advertised) = (0, 0);
        self.update_limit();
        self.settle();
        messages
    }

    /// The peer says where it stands: its frames go on from there.
    pub(crate) fn on_sync(
        &mut self,
        sync: &LaneSync,
        stats: &mut LaneStats,
    ) -> Result<Option<Lost>, Violation> {
        if self.is_reliable {
            let can_resume = self.frames <= sync.next_frame;
            return if can_resume { Ok(None) } else { Err(Violation::CannotResume(self.lane)) };
        }
        if sync.next_frame < self.frames || sync.next_message < self.messages {
            return Err(Violation::CannotResume(self.lane));
        }
        let over = sync.used_credit.saturating_sub(self.advertised.max(self.limit));
        if over > 0 {
            return Err(Violation::OverCredit { lane: self.lane, over });
        }
        let (from, to) = (self.messages, sync.next_message);
        self.assembly = None;
        (self.frames, self.messages) = (sync.next_frame, sync.next_message);
        self.used_credit = self.used_credit.max(sync.used_credit);
        self.update_limit();
        stats.lost_messages = stats.lost_messages.saturating_add(to - from);
        Ok((from < to).then_some(Lost {
            lane: self.lane,
            from,
            to,
            direction: Direction::Received,
        }))
    }

    /// Places a frame by the low half of its number.
    pub(crate) fn order(&self, header: &Header) -> Result<Order, Violation> {
        let due = (self.frames & u64::from(u32::MAX)) as u32;
        let distance = header.seq.wrapping_sub(due).cast_signed();
        match distance {
            0 => Ok(Order::Due),
            ..0 => Ok(Order::Duplicate),
            1.. => {
                let got = self.frames + u64::from(distance.unsigned_abs());
                Err(Violation::Gap { lane: self.lane, expected: self.frames, got })
            }
        }
    }

    /// Checks the credit that a frame takes, and the length of its message against the limit.
    pub(crate) fn admit(&self, credit: usize, message: usize) -> Result<(), Violation> {
        if message > self.max_message {
            let (lane, limit) = (self.lane, self.max_message);
            return Err(Violation::MessageTooLong { lane, len: message, limit });
        }
        let over = (self.used_credit + credit as u64).saturating_sub(self.advertised);
        if over > 0 { Err(Violation::OverCredit { lane: self.lane, over }) } else { Ok(()) }
    }

    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    /// Whether whole messages may come now: not in the middle of a fragmented one.
    pub(crate) fn expects_whole(&self) -> Result<(), Violation> {
        match self.assembly {
            None => Ok(()),
            Some(_) => Err(Violation::MisplacedFragment(self.lane)),
        }
    }

    /// Counts an accepted frame of `len` bytes with whole `messages`. Returns the number of the
    /// first.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        len: usize,
        messages: u64,
        stats: &mut LaneStats,
    ) -> u64 {
        let credit = len + FRAME_CREDIT;
        self.delivered += credit as u64;
        self.count(now, len, credit, messages, stats)
    }

    fn count(
        &mut self,
        now: Instant,
        len: usize,
        credit: usize,
        messages: u64,
        stats: &mut LaneStats,
    ) -> u64 {
        let first = self.messages;
        self.frames += 1;
        self.messages += messages;
        self.used_credit += credit as u64;
        self.owed_frames += 1;
        self.owed_bytes += len;
        self.owed_since.get_or_insert(now);
        stats.received_messages += messages;
        stats.received_bytes += len as u64;
        self.update_limit();
        first
    }

    /// Begins or continues a fragmented message: makes room for the frame's body.
    pub(crate) fn begin_fragment(
        &mut self,
        header: &Header,
        pool: &Arc<BufferPool>,
    ) -> Result<(), Violation> {
        let (len, total) = (header.len as usize, header.extra as usize);
        self.admit(len, total)?;
        let is_first = header.flags & FLAG_FIRST != 0;
        let (filled, due) = match &self.assembly {
            Some(assembly) if !is_first => (assembly.filled, assembly.total),
            None if is_first => (0, total),
            _ => return Err(Violation::MisplacedFragment(self.lane)),
        };
        // What fits one frame is never cut: it would cost a buffer and no credit worth the name.
        if len == 0 || total <= MAX_FRAME || total != due || filled + len > total {
            return Err(Violation::MisplacedFragment(self.lane));
        }
        if is_first {
            self.assembly = Some(Assembly { buffer: pool.take(total), filled, total });
        }
        Ok(())
    }

    /// The assembly's memory after its whole frames.
    pub(crate) fn assembly_rest(&mut self) -> &mut [u8] {
        match &mut self.assembly {
            Some(assembly) => &mut assembly.buffer.bytes()[assembly.filled..assembly.total],
            None => &mut [],
        }
    }

    /// A fragment of `len` bytes is complete; returns the message if it was the last.
    pub(crate) fn end_fragment(
        &mut self,
        now: Instant,
        len: usize,
        stats: &mut LaneStats,
    ) -> Option<(u64, Bytes)> {
        let assembly = self.assembly.as_mut().expect("begin_fragment made it");
        assembly.filled += len;
        let is_last = assembly.filled == assembly.total;
        if is_last {
            self.delivered += assembly.total as u64;
        }
        let first = self.count(now, len, len, u64::from(is_last), stats);
        let assembly = self.assembly.take_if(|_| is_last)?;
        let total = assembly.total;
        Some((first, assembly.buffer.freeze().slice(..total)))
    }

    /// The application has taken `consumed` bytes in all.
    pub(crate) fn consume(&mut self, consumed: u64) {
        self.consumed = consumed.min(self.delivered);
        self.update_limit();
    }

    fn update_limit(&mut self) {
        let granted =
            (self.used_credit + self.window).saturating_sub(self.delivered - self.consumed);
        self.limit = self.limit.max(granted);
    }

    /// Whether an acknowledgement is due at `now`.
    pub(crate) fn owes_ack(&self, now: Instant, delay: Duration) -> bool {
        self.owed_frames >= ACK_FRAMES
            || self.owed_bytes >= self.ack_bytes
            || self.limit - self.advertised >= self.window / 2
            || self.ack_deadline(delay).is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn ack_deadline(&self, delay: Duration) -> Option<Instant> {
        self.owed_since.map(|since| since + delay)
    }

    /// Whether there is anything new to acknowledge or grant.
    pub(crate) fn has_news(&self) -> bool {
        self.owed_frames > 0 || self.limit > self.advertised
    }

    /// The acknowledgement and grant as of now, which are thereby told.
    pub(crate) fn take_ack(&mut self) -> Ack {
        self.settle();
        self.advertised = self.limit;
        Ack { lane: self.lane.0, frames: self.frames, limit: self.limit }
    }

    fn settle(&mut self) {
        self.owed_frames = 0;
        self.owed_bytes = 0;
        self.owed_since = None;
    }

    pub(crate) fn held_bytes(&self) -> usize {
        usize::try_from(self.delivered - self.consumed).unwrap_or(usize::MAX)
    }

    pub(crate) fn assembly_bytes(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.total)
    }

    pub(crate) fn check(&self) {
        assert!(self.consumed <= self.delivered);
        assert!(self.advertised <= self.limit);
        assert!(self.used_credit <= self.limit, "{} of {}", self.used_credit, self.limit);
    }
}
