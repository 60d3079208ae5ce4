//! Messages that were accepted and not yet sent: what producers touch.
//!
//! Small messages are copied into the lane's open batch, large ones are kept by reference. The
//! session takes whatever is there whenever the link is free: batches grow under back-pressure
//! and cost no delay without it. There is no flush and no flush timer.

use std::collections::VecDeque;
use std::mem;

use bytes::{Bytes, BytesMut};

use crate::frame::{self, HEADER};
use crate::lane::{Lane, LaneConfig, LaneSet, Overflow};
use crate::limits::{COPY_THRESHOLD, MAX_FRAME};

/// The first block that a lane allocates for its batches, and the one it returns to when idle.
const SMALLEST_BLOCK: usize = 2 * 1024;
/// Blocks grow to one full frame.
const LARGEST_BLOCK: usize = MAX_FRAME + HEADER;

/// The queues of all lanes to one peer.
#[derive(Debug)]
pub struct Outbox {
    lanes: Vec<OutLane>,
    freed: LaneSet,
    parked: bool,
    closed: bool,
}

#[derive(Debug)]
struct OutLane {
    overflow: Overflow,
    queue_bytes: usize,
    max_message: usize,
    /// Room for a header, then length-prefixed messages.
    open: BytesMut,
    open_count: u32,
    block: usize,
    items: VecDeque<Item>,
    bytes: usize,
    messages: u64,
    is_blocked: bool,
    is_slow: bool,
}

/// What the session takes to cut frames from.
#[derive(Debug)]
pub(crate) enum Item {
    /// Small messages behind room for a header.
    Batch { frame: BytesMut, count: u32 },
    /// One message.
    Single(Bytes),
}

/// A message was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The session may be asleep: wake its driver.
    pub wake: bool,
    /// Messages that the lane's policy dropped, this one or older ones.
    pub dropped: u64,
    /// The first overflow since the lane last had room: the peer is slow.
    pub slow: bool,
    /// The lane's policy ends the session.
    pub end_session: bool,
}

impl Accepted {
    /// What this and `next` come to together.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self {
            wake: self.wake || next.wake,
            dropped: self.dropped + next.dropped,
            slow: self.slow || next.slow,
            end_session: self.end_session || next.end_session,
        }
    }
}

/// A message was not accepted; nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The lane's queue is full. `slow` as in [`Accepted`].
    Full {
        /// The first overflow since the lane last had room.
        slow: bool,
    },
    /// The message is longer than the peer accepts on this lane.
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// There is no such lane.
    UnknownLane,
    /// The queue takes no more messages: draining, or the peer was removed.
    Closed,
}

/// How much waits on a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes of messages and their length prefixes.
    pub bytes: usize,
    /// Messages.
    pub messages: u64,
}

impl Outbox {
    /// Empty queues with the bounds and policies of `lanes`.
    #[must_use]
    pub fn new(lanes: &[LaneConfig]) -> Self {
        let lanes = lanes.iter().map(OutLane::new).collect();
        Self { lanes, freed: LaneSet::default(), parked: true, closed: false }
    }

    /// Queues a copy of `message`.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing was queued.
    #[inline]
    pub fn push(&mut self, lane: Lane, message: &[u8]) -> Result<Accepted, Refusal> {
        if message.len() > COPY_THRESHOLD {
            return self.push_bytes(lane, Bytes::copy_from_slice(message));
        }
        let mut accepted = self.admit(lane, message.len())?;
        if accepted.dropped_newest() {
            return Ok(accepted.report);
        }
        self.lanes[lane.index()].append(message);
        accepted.report.wake = mem::take(&mut self.parked);
        Ok(accepted.report)
    }

    /// Queues `message` without copying it, unless it is small.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing was queued.
    pub fn push_bytes(&mut self, lane: Lane, message: Bytes) -> Result<Accepted, Refusal> {
        if message.len() <= COPY_THRESHOLD {
            return self.push(lane, &message);
        }
        let mut accepted = self.admit(lane, message.len())?;
        if accepted.dropped_newest() {
            return Ok(accepted.report);
        }
        self.lanes[lane.index()].append_single(message);
        accepted.report.wake = mem::take(&mut self.parked);
        Ok(accepted.report)
    }

    /// Refuses all further messages; what is queued stays.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The lanes that were full and have fallen to half since the last call.
    pub fn take_freed(&mut self) -> LaneSet {
        mem::take(&mut self.freed)
    }

    /// Adopts the peer's limit for messages on `lane`. Drops what was queued before it was known and
    /// can never be sent: larger messages, and batches that hold one. Returns how many messages
    /// those were.
    pub fn limit_messages(&mut self, lane: Lane, max_message: usize) -> u64 {
        let out = &mut self.lanes[lane.index()];
        let is_lower = max_message < out.max_message;
        out.max_message = max_message;
        if is_lower { out.drop_oversized() } else { 0 }
    }

    /// Returns idle memory.
    pub fn shrink(&mut self) {
        for lane in &mut self.lanes {
            if lane.messages == 0 {
                lane.open = BytesMut::new();
                lane.block = SMALLEST_BLOCK;
                lane.items.shrink_to(4);
            }
        }
    }

    /// What waits on `lane`.
    #[must_use]
    pub fn backlog(&self, lane: Lane) -> Backlog {
        let lane = &self.lanes[lane.index()];
        Backlog { bytes: lane.bytes, messages: lane.messages }
    }

    /// Whether nothing waits on any lane.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.messages == 0)
    }

    /// Tells the next `push` to report `wake`: the driver goes to sleep.
    pub(crate) fn park(&mut self) {
        self.parked = true;
    }

    /// Bytes that the next item of `lane` would put into one frame.
    pub(crate) fn next_len(&self, lane: Lane) -> Option<usize> {
        let lane = &self.lanes[lane.index()];
        match lane.items.front() {
            Some(Item::Batch { frame, .. }) => Some(frame.len() - HEADER),
            Some(Item::Single(message)) => Some(message.len().min(MAX_FRAME)),
            None if lane.open_count > 0 => Some(lane.open.len() - HEADER),
            None => None,
        }
    }

    /// Takes the next item of `lane`.
    pub(crate) fn take(&mut self, lane: Lane) -> Option<Item> {
        let out = &mut self.lanes[lane.index()];
        let item = out.take()?;
        if out.is_blocked && out.bytes <= out.queue_bytes / 2 {
            out.is_blocked = false;
            out.is_slow = false;
            self.freed.insert(lane);
        }
        Some(item)
    }

    /// Decides what becomes of a message of `len` bytes.
    #[inline]
    fn admit(&mut self, lane: Lane, len: usize) -> Result<Admission, Refusal> {
        let out = self.lanes.get_mut(lane.index()).ok_or(Refusal::UnknownLane)?;
        if self.closed {
            return Err(Refusal::Closed);
        }
        if len > out.max_message {
            return Err(Refusal::TooLarge { limit: out.max_message });
        }
        if out.has_room(len) {
            return Ok(Admission::default());
        }
        out.overflow(len)
    }
}

#[derive(Default)]
struct Admission {
    report: Accepted,
    drop_newest: bool,
}

impl Admission {
    #[inline]
    fn dropped_newest(&self) -> bool {
        self.drop_newest
    }
}

impl OutLane {
    fn new(config: &LaneConfig) -> Self {
        Self {
            overflow: config.overflow,
            queue_bytes: config.queue_bytes,
            max_message: config.max_message,
            open: BytesMut::new(),
            open_count: 0,
            block: SMALLEST_BLOCK,
            items: VecDeque::new(),
            bytes: 0,
            messages: 0,
            is_blocked: false,
            is_slow: false,
        }
    }

    /// A message larger than the whole queue is accepted while the queue is empty.
    #[inline]
    fn has_room(&self, len: usize) -> bool {
        self.messages == 0 || self.bytes + len <= self.queue_bytes
    }

    #[cold]
    fn overflow(&mut self, len: usize) -> Result<Admission, Refusal> {
        let slow = !mem::replace(&mut self.is_slow, true);
        self.is_blocked = true;
        let report = Accepted { slow, ..Accepted::default() };
        match self.overflow {
            Overflow::Refuse => Err(Refusal::Full { slow }),
            Overflow::DropNewest => {
                Ok(Admission { report: Accepted { dropped: 1, ..report }, drop_newest: true })
            }
            Overflow::DropOldest => {
                let dropped = self.drop_oldest(len);
                Ok(Admission { report: Accepted { dropped, ..report }, drop_newest: false })
            }
            Overflow::EndSession => {
                let dropped = self.drop_oldest(usize::MAX);
                let report = Accepted { dropped, end_session: true, ..report };
                Ok(Admission { report, drop_newest: false })
            }
        }
    }

    /// Drops what the peer would refuse; returns the messages dropped.
    fn drop_oversized(&mut self) -> u64 {
        self.close_batch();
        let before = self.messages;
        let limit = self.max_message;
        for item in mem::take(&mut self.items) {
            let fits = match &item {
                Item::Batch { frame, count } => {
                    frame::holds_messages(&frame[HEADER..], *count, limit)
                }
                Item::Single(message) => message.len() <= limit,
            };
            self.items.push_back(item);
            if !fits {
                let dropped = self.items.pop_back();
                self.uncount(dropped.as_ref());
            }
        }
        before - self.messages
    }

    /// Drops whole items until `len` more bytes fit; returns the messages dropped.
    fn drop_oldest(&mut self, len: usize) -> u64 {
        let before = self.messages;
        while self.messages > 0 && self.bytes.saturating_add(len) > self.queue_bytes {
            self.take();
        }
        before - self.messages
    }

    #[inline]
    fn append(&mut self, message: &[u8]) {
        let need = frame::varint_len(message.len()) + message.len();
        let is_frame_full = self.open.len() + need > LARGEST_BLOCK;
        if self.open_count == 0 || is_frame_full || self.open.capacity() - self.open.len() < need {
            self.begin_batch(need);
        }
        if message.len() < 0x80 {
            self.open.extend_from_slice(&[message.len() as u8]);
        } else {
            let mut prefix = [0; 3];
            let prefix_len = frame::write_varint(message.len(), &mut prefix);
            self.open.extend_from_slice(&prefix[..prefix_len]);
        }
        self.open.extend_from_slice(message);
        self.open_count += 1;
        self.bytes += need;
        self.messages += 1;
    }

    /// Closes the open batch and begins one, in the rest of the block if `need` fits there. A
    /// batch never moves to another block: it is closed early instead.
    fn begin_batch(&mut self, need: usize) {
        self.close_batch();
        if self.open.capacity() < HEADER + need {
            self.open.reserve(self.block.max(HEADER + need));
            self.block = (self.block * 2).min(LARGEST_BLOCK);
        }
        self.open.extend_from_slice(&[0; HEADER]);
    }

    fn close_batch(&mut self) {
        if self.open_count > 0 {
            let count = mem::take(&mut self.open_count);
            self.items.push_back(Item::Batch { frame: self.open.split(), count });
        }
    }

    fn append_single(&mut self, message: Bytes) {
        self.close_batch();
        self.bytes += message.len();
        self.messages += 1;
        self.items.push_back(Item::Single(message));
    }

    fn take(&mut self) -> Option<Item> {
        if self.items.is_empty() {
            self.close_batch();
        }
        let item = self.items.pop_front()?;
        self.uncount(Some(&item));
        Some(item)
    }

    /// `item` does not wait any more.
    fn uncount(&mut self, item: Option<&Item>) {
        let (bytes, messages) = match item {
            Some(Item::Batch { frame, count }) => (frame.len() - HEADER, *count),
            Some(Item::Single(message)) => (message.len(), 1),
            None => (0, 0),
        };
        self.bytes -= bytes;
        self.messages -= u64::from(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(overflow: Overflow, queue_bytes: usize) -> Outbox {
        let lane = LaneConfig { overflow, queue_bytes, ..LaneConfig::new("test", 1) };
        Outbox::new(&[lane])
    }

    const LANE: Lane = Lane(0);

    fn frames(outbox: &mut Outbox) -> Vec<(usize, u32)> {
        let item = |item| match item {
            Item::Batch { frame, count } => (frame.len() - HEADER, count),
            Item::Single(message) => (message.len(), 1),
        };
        std::iter::from_fn(|| outbox.take(LANE)).map(item).collect()
    }

    #[test]
    fn small_messages_share_a_frame_and_large_ones_keep_their_place() {
        let mut outbox = outbox(Overflow::Refuse, 1 << 20);
        outbox.push(LANE, b"a").unwrap();
        outbox.push(LANE, b"bc").unwrap();
        outbox.push_bytes(LANE, Bytes::from(vec![0; COPY_THRESHOLD + 1])).unwrap();
        outbox.push(LANE, b"d").unwrap();
        assert_eq!(frames(&mut outbox), [(5, 2), (COPY_THRESHOLD + 1, 1), (2, 1)]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.backlog(LANE), Backlog::default());
    }

    #[test]
    fn a_batch_never_exceeds_a_frame() {
        let mut outbox = outbox(Overflow::Refuse, 1 << 20);
        for _ in 0..5000 {
            outbox.push(LANE, &[7; 100]).unwrap();
        }
        let frames = frames(&mut outbox);
        assert!(frames.iter().all(|(len, _)| *len <= MAX_FRAME));
        assert_eq!(frames.iter().map(|(_, count)| count).sum::<u32>(), 5000);
        assert!(frames.len() < 20, "{}", frames.len());
    }

    #[test]
    fn a_full_lane_refuses_once_as_slow_and_frees_at_half() {
        let mut outbox = outbox(Overflow::Refuse, 100);
        outbox.push(LANE, &[0; 60]).unwrap();
        assert_eq!(outbox.push(LANE, &[0; 60]), Err(Refusal::Full { slow: true }));
        assert_eq!(outbox.push(LANE, &[0; 60]), Err(Refusal::Full { slow: false }));
        assert!(outbox.take_freed().is_empty());
        outbox.take(LANE).unwrap();
        assert!(outbox.take_freed().contains(LANE));
        outbox.push(LANE, &[0; 60]).unwrap();
    }

    #[test]
    fn drop_policies_keep_the_bound_and_count() {
        let mut newest = outbox(Overflow::DropNewest, 100);
        newest.push(LANE, &[1; 80]).unwrap();
        assert_eq!(newest.push(LANE, &[2; 80]).unwrap().dropped, 1);
        assert_eq!(frames(&mut newest), [(81, 1)]);

        let mut oldest = outbox(Overflow::DropOldest, 100);
        oldest.push(LANE, &[1; 40]).unwrap();
        oldest.push(LANE, &[1; 40]).unwrap();
        assert_eq!(oldest.push(LANE, &[2; 80]).unwrap().dropped, 2);
        assert_eq!(frames(&mut oldest), [(81, 1)]);
    }

    #[test]
    fn a_message_larger_than_the_queue_passes_when_nothing_waits() {
        let mut outbox = outbox(Overflow::Refuse, 100);
        outbox.push(LANE, &[0; 5000]).unwrap();
        assert_eq!(outbox.push(LANE, b"x"), Err(Refusal::Full { slow: true }));
    }

    #[test]
    fn what_the_peer_would_refuse_is_dropped_and_counted_when_its_limit_is_known() {
        let mut outbox = outbox(Overflow::Refuse, 1 << 20);
        outbox.push(LANE, b"small").unwrap();
        outbox.push_bytes(LANE, Bytes::from(vec![0; 10_000])).unwrap();
        outbox.push(LANE, b"also small").unwrap();
        assert_eq!(outbox.limit_messages(LANE, 5_000), 1);
        assert_eq!(outbox.limit_messages(LANE, 5_000), 0);
        assert_eq!(frames(&mut outbox), [(6, 1), (11, 1)]);
        assert_eq!(outbox.backlog(LANE), Backlog::default());
    }

    #[test]
    fn only_the_first_push_after_parking_wakes() {
        let mut outbox = outbox(Overflow::Refuse, 100);
        assert!(outbox.push(LANE, b"a").unwrap().wake);
        assert!(!outbox.push(LANE, b"b").unwrap().wake);
        outbox.park();
        assert!(outbox.push(LANE, b"c").unwrap().wake);
    }

    #[test]
    fn a_closed_outbox_keeps_what_it_has() {
        let mut outbox = outbox(Overflow::Refuse, 100);
        outbox.push(LANE, b"a").unwrap();
        outbox.close();
        assert_eq!(outbox.push(LANE, b"b"), Err(Refusal::Closed));
        assert_eq!(frames(&mut outbox), [(2, 1)]);
    }
}
