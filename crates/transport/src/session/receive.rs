//! The receiving side: from bytes to frames, from frames to messages.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::batch::{Batch, Part};
use crate::frame::{self, HEADER, Header, Kind};
use crate::lane::{Lane, LaneSet};
use crate::limits::{COPY_THRESHOLD, FRAME_CREDIT, MAX_LANES};
use crate::session::Session;
use crate::session::control::{self, Ack, Sync, checked_lane};
use crate::session::incoming::Order;
use crate::session::reader::{Body, Landed, Reader};
use crate::session::report::{Direction, Lost, Received, Signal, Violation};
use crate::time::Instant;

/// Accepted messages that are still in the staging buffer, or reassembled.
pub(crate) struct Found {
    lane: Lane,
    first: u64,
    count: u64,
    body: FoundBody,
}

enum FoundBody {
    Staged { range: Range<usize>, is_batch: bool },
    Assembled(Bytes),
}

impl Session {
    /// The link has read `count` bytes into the slots of `channel`.
    ///
    /// # Errors
    /// If the peer broke the protocol. What was valid before that is in `out`.
    ///
    /// # Panics
    /// If `count` is more than the slots hold.
    pub fn on_read(
        &mut self,
        now: Instant,
        channel: usize,
        count: usize,
        out: &mut Received,
    ) -> Result<(), Violation> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.liveness.on_heard(now);
        let mut reader = std::mem::take(&mut link.readers[channel]);
        let mut turn = Turn { session: self, now, channel, out };
        let result = turn.read(&mut reader, count);
        turn.hand_over(&mut reader);
        if let Some(link) = &mut self.link {
            link.readers[channel] = reader;
        }
        result
    }
}

/// One call of `on_read`.
struct Turn<'a> {
    session: &'a mut Session,
    now: Instant,
    channel: usize,
    out: &'a mut Received,
}

impl Turn<'_> {
    fn read(&mut self, reader: &mut Reader, count: usize) -> Result<(), Violation> {
        if reader.is_run() {
            self.read_run(reader, count)?;
        } else {
            reader.stage(count);
        }
        self.parse(reader)
    }

    /// Bytes that went straight to a fragmented message.
    fn read_run(&mut self, reader: &mut Reader, count: usize) -> Result<(), Violation> {
        let mut beyond = reader.fill_body(count);
        for index in 0.. {
            match reader.body {
                Body::Fragment { lane, len, left: 0 } => self.end_fragment(reader, lane, len),
                Body::Fragment { .. } | Body::Skip { .. } => return Ok(()),
                Body::None => {}
            }
            let pool = &self.session.config.pool;
            match reader.land(index, beyond, &mut self.session.incoming, pool) {
                Landed::Staged => return Ok(()),
                Landed::Expected { header, body } => {
                    if !self.begin_fragment(reader, &header)? {
                        return Err(Violation::MisplacedFragment(reader.run_lane));
                    }
                    beyond = reader.fill_body(body);
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, reader: &mut Reader) -> Result<(), Violation> {
        loop {
            let staged = reader.staged();
            match reader.body {
                Body::Fragment { lane, len, left } => {
                    let count = left.min(staged.len());
                    let assembly = self.session.incoming[lane.index()].assembly_rest();
                    assembly[len - left..][..count].copy_from_slice(&staged[..count]);
                    reader.advance(count);
                    reader.fill_body(count);
                    if count < left {
                        return Ok(());
                    }
                    self.end_fragment(reader, lane, len);
                }
                Body::Skip { left } => {
                    let count = left.min(staged.len());
                    reader.advance(count);
                    reader.body =
                        if count < left { Body::Skip { left: left - count } } else { Body::None };
                    if count < left {
                        return Ok(());
                    }
                }
                Body::None => {
                    let Some(header) = staged.first_chunk::<HEADER>() else { return Ok(()) };
                    let header = Header::decode(header)?;
                    if !self.on_header(reader, &header)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Handles a frame, or the beginning of one. Returns false if more bytes are needed.
    fn on_header(&mut self, reader: &mut Reader, header: &Header) -> Result<bool, Violation> {
        let len = header.len as usize;
        match header.kind {
            Kind::Fragment => {
                reader.advance(HEADER);
                self.begin_fragment(reader, header)?;
                return Ok(true);
            }
            Kind::Skippable(_) => {
                reader.advance(HEADER);
                reader.body = Body::Skip { left: len };
                return Ok(true);
            }
            _ => {}
        }
        let Some(body) = reader.staged().get(HEADER..HEADER + len) else { return Ok(false) };
        if header.kind.is_numbered() {
            let at = reader.position() + HEADER;
            self.on_whole(header, at..at + len, body)?;
        } else {
            self.on_control(header.kind, body)?;
        }
        reader.advance(HEADER + len);
        Ok(true)
    }

    fn lane_of(&self, header: &Header) -> Result<Lane, Violation> {
        let lane = checked_lane(header.lane, self.session.incoming.len())?;
        let Some(link) = &self.session.link else { return Ok(lane) };
        if !link.is_synced {
            return Err(Violation::MisplacedSync);
        }
        let has_own_channel = link.readers.len() > 1;
        if has_own_channel && lane.index() != self.channel {
            return Err(Violation::WrongChannel { lane: lane.0, channel: self.channel });
        }
        Ok(lane)
    }

    /// A frame of one or several whole messages, staged at `range`.
    fn on_whole(
        &mut self,
        header: &Header,
        range: Range<usize>,
        body: &[u8],
    ) -> Result<(), Violation> {
        let lane = self.lane_of(header)?;
        let incoming = &mut self.session.incoming[lane.index()];
        let stats = &mut self.session.stats[lane.index()];
        if incoming.order(header)? == Order::Duplicate {
            stats.duplicate_frames += 1;
            return Ok(());
        }
        incoming.expects_whole()?;
        let is_batch = header.kind == Kind::Batch;
        let count = if is_batch { header.extra } else { 1 };
        let is_well_formed = if is_batch {
            count > 0 && frame::holds_messages(body, count, incoming.max_message())
        } else {
            // Empty messages travel in batches, where each costs at least one byte of credit.
            !body.is_empty()
        };
        if !is_well_formed {
            return Err(Violation::MalformedMessages(lane));
        }
        incoming.admit(body.len() + FRAME_CREDIT, if is_batch { 0 } else { body.len() })?;
        let count = u64::from(count);
        let first = incoming.accept(self.now, body.len(), count, stats);
        let body = FoundBody::Staged { range, is_batch };
        self.session.found.push(Found { lane, first, count, body });
        Ok(())
    }

    /// The header of a fragment has come. Returns whether its body is wanted.
    fn begin_fragment(&mut self, reader: &mut Reader, header: &Header) -> Result<bool, Violation> {
        let lane = self.lane_of(header)?;
        let len = header.len as usize;
        let incoming = &mut self.session.incoming[lane.index()];
        if incoming.order(header)? == Order::Duplicate {
            self.session.stats[lane.index()].duplicate_frames += 1;
            reader.body = Body::Skip { left: len };
            return Ok(false);
        }
        incoming.begin_fragment(header, &self.session.config.pool)?;
        reader.body = Body::Fragment { lane, len, left: len };
        Ok(true)
    }

    fn end_fragment(&mut self, reader: &mut Reader, lane: Lane, len: usize) {
        reader.body = Body::None;
        let incoming = &mut self.session.incoming[lane.index()];
        let stats = &mut self.session.stats[lane.index()];
        let Some((first, message)) = incoming.end_fragment(self.now, len, stats) else {
            reader.expects = Some(lane);
            return;
        };
        reader.expects = None;
        let body = FoundBody::Assembled(message);
        self.session.found.push(Found { lane, first, count: 1, body });
    }

    fn on_control(&mut self, kind: Kind, body: &[u8]) -> Result<(), Violation> {
        let session = &mut *self.session;
        let Some(link) = &mut session.link else { return Ok(()) };
        if self.channel != 0 || link.is_synced == (kind == Kind::Sync) && kind != Kind::Close {
            return Err(Violation::MisplacedSync);
        }
        match kind {
            Kind::Sync => return self.on_sync(body),
            Kind::Ack => return self.on_acks(body),
            Kind::Ping => link.owes_pong = Some(control::decode_nonce(body)?),
            Kind::Pong => {
                let sent = Instant(control::decode_nonce(body)?);
                let rtt = self.now.since(sent);
                session.rtt = Some(rtt).filter(|rtt| *rtt < MAX_RTT).or(session.rtt);
            }
            Kind::GoAway => {
                if !std::mem::replace(&mut link.has_heard_go_away, true) {
                    self.out.signals.push(Signal::GoAway);
                }
            }
            Kind::Close => {
                let (code, reason) = control::decode_close(body)?;
                self.out.signals.push(Signal::Closed { code, reason });
            }
            Kind::Batch | Kind::Data | Kind::Fragment | Kind::Skippable(_) => {}
        }
        Ok(())
    }

    fn on_sync(&mut self, body: &[u8]) -> Result<(), Violation> {
        let session = &mut *self.session;
        let sync = Sync::decode(body, session.incoming.len())?;
        for (index, lane) in sync.lanes.iter().enumerate() {
            let ack = Ack { lane: index as u8, frames: lane.received_frames, limit: lane.limit };
            session.outgoing[index].on_ack(ack)?;
            let lost = session.incoming[index].on_sync(lane, &mut session.stats[index])?;
            self.out.signals.extend(lost.map(Signal::Lost));
        }
        // What is ours stays: the peer may not have been told yet.
        if let Some((ours, received)) = &mut session.ended
            && let Some(theirs) = sync.ended
            && (theirs.own, theirs.peer) == (ours.peer, ours.own)
        {
            for lost in missed(&std::mem::take(received), &theirs.sent_messages) {
                let lost_messages = &mut session.stats[lost.lane.index()].lost_messages;
                *lost_messages = lost_messages.saturating_add(lost.to - lost.from);
                self.out.signals.push(Signal::Lost(lost));
            }
        }
        session.has_synced = true;
        if let Some(link) = &mut session.link {
            link.is_synced = true;
        }
        self.out.signals.push(Signal::Synced);
        Ok(())
    }

    fn on_acks(&mut self, body: &[u8]) -> Result<(), Violation> {
        let outgoing = &mut self.session.outgoing;
        for ack in control::decode_acks(body)? {
            let lane = checked_lane(ack.lane, outgoing.len())?;
            outgoing[lane.index()].on_ack(ack)?;
        }
        Ok(())
    }

    /// Gives what was found to the application. Lanes that fill a good part of the buffer share
    /// it; the messages of others are copied out, so that a small one which is not taken for long
    /// does not keep the whole buffer.
    fn hand_over(&mut self, reader: &mut Reader) {
        let mut found = std::mem::take(&mut self.session.found);
        let sharing = sharing_lanes(&found, reader.capacity());
        let pool = &self.session.config.pool;
        let shared = (!sharing.is_empty()).then(|| reader.hand_over(pool).freeze());
        for Found { lane, first, count, body } in found.drain(..) {
            let (body, is_batch, credit) = match body {
                FoundBody::Staged { range, is_batch } => {
                    let credit = range.len() + FRAME_CREDIT;
                    let body = match &shared {
                        Some(buffer) if sharing.contains(lane) => buffer.slice(range),
                        Some(buffer) => Bytes::copy_from_slice(&buffer[range]),
                        None => Bytes::copy_from_slice(reader.parsed(range)),
                    };
                    (body, is_batch, credit)
                }
                FoundBody::Assembled(body) => {
                    let credit = body.len();
                    (body, false, credit)
                }
            };
            self.push(lane, first, count, Part { body, is_batch }, credit);
        }
        self.session.found = found;
        let need = match reader.body {
            Body::None => frame_len(reader.staged()),
            Body::Fragment { .. } | Body::Skip { .. } => 0,
        };
        reader.make_room(need, &self.session.config.pool);
    }

    fn push(&mut self, lane: Lane, first: u64, count: u64, part: Part, credit: usize) {
        let bytes = part.body.len();
        let last = self.out.batches.iter_mut().rev().find(|batch| batch.lane == lane);
        if let Some(batch) = last.filter(|batch| batch.first + batch.count == first) {
            batch.count += count;
            batch.bytes += bytes;
            batch.credit += credit;
            batch.parts.push(part);
            return;
        }
        let Some(peer) = self.session.peer else { return };
        let (peer, incarnation) = (peer.node, peer.incarnation);
        self.out.batches.push(Batch {
            peer,
            incarnation,
            lane,
            first,
            count,
            bytes,
            credit,
            parts: vec![part],
        });
    }
}

/// The lanes whose staged messages fill enough of a buffer of `capacity` bytes to share it.
fn sharing_lanes(found: &[Found], capacity: usize) -> LaneSet {
    let mut staged = [0; MAX_LANES];
    for Found { lane, body, .. } in found {
        if let FoundBody::Staged { range, .. } = body {
            staged[lane.index()] += range.len();
        }
    }
    let least = COPY_THRESHOLD.max(capacity / HAND_OVER_SHARE);
    let mut lanes = LaneSet::default();
    for (lane, bytes) in (0..).map(Lane).zip(staged) {
        if bytes > least {
            lanes.insert(lane);
        }
    }
    lanes
}

/// Messages of a lane that fill less of a buffer than one part in this many are copied out of it:
/// what the application holds is at most this many times its credit.
const HAND_OVER_SHARE: usize = 8;

/// A round trip above this is a peer's invention.
const MAX_RTT: Duration = Duration::from_mins(10);

/// Bytes of the frame that begins with `staged`, as far as is known.
fn frame_len(staged: &[u8]) -> usize {
    let header = staged.first_chunk().and_then(|bytes| Header::decode(bytes).ok());
    HEADER + header.map_or(0, |header| header.len as usize)
}

/// Per lane, what the peer sent in the session that ended and what was not received of it.
fn missed(received: &[u64], sent: &[u64]) -> impl Iterator<Item = Lost> {
    let lanes = (0..).map(Lane).zip(received.iter().zip(sent));
    lanes.filter(|(_, (from, to))| from < to).map(|(lane, (&from, &to))| Lost {
        lane,
        from,
        to,
        direction: Direction::Received,
    })
}
