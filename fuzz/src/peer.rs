//! A peer that speaks the protocol by hand, and wrongly where the input says so.

use arbitrary::Arbitrary;
use dx_transport::frame::{FLAG_FIRST, HEADER, Header, Kind, write_varint};
use dx_transport::limits::MAX_FRAME;

/// What a peer says. A `slip` is added to a number that would be right.
#[derive(Arbitrary, Clone, Debug)]
pub enum Say {
    Sync {
        slip: Slip,
        is_short: bool,
        ended: Option<(u64, u64, u64)>,
    },
    Batch {
        lane: u8,
        lens: Vec<u8>,
        seq: Slip,
        count: Slip,
    },
    Data {
        lane: u8,
        len: u32,
        seq: Slip,
    },
    /// A whole message in pieces of these lengths.
    Message {
        lane: u8,
        len: u32,
        pieces: Vec<u16>,
    },
    Fragment {
        lane: u8,
        len: u16,
        total: u32,
        flags: u16,
        seq: Slip,
    },
    /// A message in full fragments, as the session itself would cut it.
    Large {
        lane: u8,
        len: u32,
        pieces: u8,
    },
    Ack {
        lane: u8,
        frames: Slip,
        limit: u32,
    },
    Ping(u64),
    Pong(u64),
    GoAway,
    Close(u8, Vec<u8>),
    Skip(u8, u16),
    Control(u8, Vec<u8>),
    /// The numbers of a lane go back, as in a replay.
    Rewind {
        lane: u8,
        by: u8,
    },
    Raw(Vec<u8>),
}

impl Say {
    /// The lane it is about, mostly one that exists.
    #[must_use]
    pub fn lane(&self) -> u8 {
        match self {
            Self::Batch { lane, .. }
            | Self::Data { lane, .. }
            | Self::Message { lane, .. }
            | Self::Fragment { lane, .. }
            | Self::Large { lane, .. }
            | Self::Ack { lane, .. }
            | Self::Rewind { lane, .. } => {
                if *lane < 250 {
                    lane % 3
                } else {
                    *lane
                }
            }
            _ => 0,
        }
    }

    /// The channel it belongs on, where every lane has its own.
    #[must_use]
    pub fn channel(&self) -> usize {
        if matches!(self, Self::Ack { .. }) { 0 } else { usize::from(self.lane()) }
    }
}

/// A deviation, mostly none.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Slip(u8, i64);

impl Slip {
    /// No deviation.
    pub const NONE: Self = Self(0, 0);

    fn of(self, number: u64) -> u64 {
        match self.0 {
            0..200 => number,
            200..240 => number.wrapping_add_signed(self.1 % 4),
            240.. => number.wrapping_add_signed(self.1),
        }
    }
}

/// Where the peer stands on one lane.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    frames: u64,
    messages: u64,
    bytes: u64,
    /// Frames received from the node under test.
    received: u64,
}

/// The peer.
#[derive(Clone, Debug)]
pub struct Peer {
    lanes: Vec<Standing>,
}

impl Peer {
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        Self { lanes: vec![Standing::default(); lanes] }
    }

    /// A new session begins.
    pub fn reset(&mut self) {
        self.lanes.fill(Standing::default());
    }

    /// Hears what the node under test has sent: whole frames.
    ///
    /// # Panics
    /// If they are not well formed.
    pub fn hear(&mut self, mut bytes: &[u8]) {
        while let Some(head) = bytes.first_chunk::<HEADER>() {
            let header = Header::decode(head).expect("the session writes valid headers");
            let (body, rest) = bytes[HEADER..].split_at(header.len as usize);
            if header.kind.is_numbered() {
                let lane = &mut self.lanes[usize::from(header.lane)];
                lane.received += u64::from(header.seq == lane.received as u32);
            } else if header.kind == Kind::Sync {
                self.hear_sync(body);
            }
            bytes = rest;
        }
        assert!(bytes.is_empty(), "the session writes whole frames");
    }

    /// The frames that the node has not received are to be sent again: the fourth of the five
    /// numbers of each lane.
    fn hear_sync(&mut self, body: &[u8]) {
        for (lane, numbers) in self.lanes.iter_mut().zip(body[1..].chunks(40)) {
            let received = numbers[24..].first_chunk().expect("five numbers of eight bytes");
            lane.frames = u64::from_le_bytes(*received);
        }
    }

    /// The bytes of what it says.
    #[must_use]
    pub fn say(&mut self, say: &Say) -> Vec<u8> {
        let lane = &say.lane();
        match say {
            Say::Sync { slip, is_short, ended } => self.sync(*slip, *is_short, *ended),
            Say::Batch { lens, seq, count, .. } => self.batch(*lane, lens, *seq, *count),
            Say::Data { len, seq, .. } => {
                let body = vec![*lane; *len as usize % (MAX_FRAME + 2)];
                let seq = seq.of(self.count(*lane, 1, body.len()));
                frame(Kind::Data, *lane, 0, seq, 0, &body)
            }
            Say::Message { len, pieces, .. } => self.message(*lane, *len as usize, pieces),
            Say::Fragment { len, total, flags, seq, .. } => {
                let body = vec![*lane; usize::from(*len)];
                let seq = seq.of(self.count(*lane, 0, body.len()));
                frame(Kind::Fragment, *lane, *flags, seq, *total, &body)
            }
            Say::Large { len, pieces, .. } => self.large(*lane, *len as usize, *pieces),
            Say::Ack { frames, limit, .. } => {
                let received = self.lane(*lane).received;
                let mut body = vec![*lane];
                body.extend(frames.of(received).to_le_bytes());
                body.extend(u64::from(*limit).to_le_bytes());
                control(Kind::Ack, &body)
            }
            Say::Ping(nonce) => control(Kind::Ping, &nonce.to_le_bytes()),
            Say::Pong(nonce) => control(Kind::Pong, &nonce.to_le_bytes()),
            Say::GoAway => control(Kind::GoAway, &[]),
            Say::Close(code, reason) => control(Kind::Close, &[&[*code], &reason[..]].concat()),
            Say::Skip(kind, len) => {
                control(Kind::Skippable(kind | 128), &vec![0; usize::from(*len)])
            }
            Say::Control(kind, body) => {
                let kinds = [Kind::Sync, Kind::Ack, Kind::Ping, Kind::Pong, Kind::Close];
                control(kinds[usize::from(*kind) % kinds.len()], body)
            }
            Say::Rewind { by, .. } => {
                let lane = self.lane_mut(*lane);
                lane.frames = lane.frames.saturating_sub(u64::from(*by));
                Vec::new()
            }
            Say::Raw(bytes) => bytes.clone(),
        }
    }

    /// A SYNC. `ended` are the nonces and counter of the session before.
    fn sync(&self, slip: Slip, is_short: bool, ended: Option<(u64, u64, u64)>) -> Vec<u8> {
        let mut body = vec![self.lanes.len() as u8];
        for lane in &self.lanes {
            let limit = 1 << 20;
            for value in [lane.frames, lane.messages, lane.bytes, lane.received, limit] {
                body.extend(slip.of(value).to_le_bytes());
            }
        }
        if let Some((own, peer, sent)) = ended {
            body.extend(own.to_le_bytes());
            body.extend(peer.to_le_bytes());
            self.lanes.iter().for_each(|_| body.extend(sent.to_le_bytes()));
        }
        if is_short {
            body.truncate(body.len() / 2);
        }
        control(Kind::Sync, &body)
    }

    fn batch(&mut self, lane: u8, lens: &[u8], seq: Slip, count: Slip) -> Vec<u8> {
        let mut body = Vec::new();
        for len in lens {
            // Short ones mostly, and some around the limits.
            let len = usize::from(*len) * if *len > 250 { 20 } else { 1 };
            let mut prefix = [0; 3];
            let used = write_varint(len, &mut prefix);
            body.extend_from_slice(&prefix[..used]);
            body.resize(body.len() + len, lane);
        }
        body.truncate(MAX_FRAME);
        let messages = lens.len() as u64;
        let seq = seq.of(self.count(lane, messages, body.len()));
        frame(Kind::Batch, lane, 0, seq, count.of(messages) as u32, &body)
    }

    fn message(&mut self, lane: u8, len: usize, pieces: &[u16]) -> Vec<u8> {
        // What fits one frame must not be cut: seldom, and refused.
        let total = if len % 16 == 15 { len % MAX_FRAME } else { MAX_FRAME + 1 + len % 300_000 };
        let mut sizes = pieces.iter().map(|size| usize::from(*size) + 1).chain([MAX_FRAME]).cycle();
        let mut bytes = Vec::new();
        let mut offset = 0;
        // An input of a few bytes must not make thousands of frames.
        for _ in 0..40 {
            let size = sizes.next().unwrap_or(1).min(total - offset);
            let is_last = offset + size == total;
            let flags = if offset == 0 { FLAG_FIRST } else { 0 };
            let seq = self.count(lane, u64::from(is_last), size);
            let body: Vec<u8> = (offset..offset + size).map(|at| (at / 251) as u8).collect();
            bytes.extend(frame(Kind::Fragment, lane, flags, seq, total as u32, &body));
            offset += size;
            if is_last {
                break;
            }
        }
        bytes
    }

    fn large(&mut self, lane: u8, len: usize, pieces: u8) -> Vec<u8> {
        let full = vec![u16::MAX; usize::from(pieces % 8)];
        self.message(lane, len, &full)
    }

    fn lane(&self, lane: u8) -> Standing {
        self.lanes.get(usize::from(lane)).copied().unwrap_or_default()
    }

    fn lane_mut(&mut self, lane: u8) -> &mut Standing {
        let index = usize::from(lane) % self.lanes.len();
        &mut self.lanes[index]
    }

    /// Counts a frame of `messages` and `bytes`; returns its number.
    fn count(&mut self, lane: u8, messages: u64, bytes: usize) -> u64 {
        let lane = self.lane_mut(lane);
        lane.frames += 1;
        lane.messages += messages;
        lane.bytes += bytes as u64;
        lane.frames - 1
    }
}

/// A control frame.
#[must_use]
pub fn control(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Header::control(kind, body.len()).encode().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

fn frame(kind: Kind, lane: u8, flags: u16, seq: u64, extra: u32, body: &[u8]) -> Vec<u8> {
    let header = Header { kind, lane, flags, len: body.len() as u32, seq: seq as u32, extra };
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(body);
    bytes
}
