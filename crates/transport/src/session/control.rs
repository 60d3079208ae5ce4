//! Bodies of the frames that carry no messages.

use crate::id::SessionNonce;
use crate::lane::Lane;
use crate::limits::{MAX_LANES, MAX_REASON};
use crate::session::report::{CloseCode, Violation};

/// Where a side stands on one lane: frames received and bytes granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ack {
    pub lane: u8,
    /// Frames received so far: acknowledges all below.
    pub frames: u64,
    /// Bytes of credit that may be used in all, since the session began.
    pub limit: u64,
}

/// The first frame on a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sync {
    pub lanes: Vec<LaneSync>,
    /// The session that ended before this one, so that the peer can tell exactly what it missed.
    pub ended: Option<Ended>,
}

/// Where a side stands on one lane when a link begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneSync {
    /// The next frame it will send that was never sent before.
    pub next_frame: u64,
    /// The number of messages in the frames before that one.
    pub next_message: u64,
    /// The credit that the frames before that one took.
    pub used_credit: u64,
    /// Frames received.
    pub received_frames: u64,
    /// See [`Ack::limit`].
    pub limit: u64,
}

impl LaneSync {
    /// Counters that no session reaches; refusing them keeps sums from overflowing.
    fn is_absurd(&self) -> bool {
        self.next_frame.max(self.next_message).max(self.used_credit) > 1 << 62
    }
}

/// How far the previous session got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The nonces of the side that says it, and of its peer.
    pub own: SessionNonce,
    pub peer: SessionNonce,
    /// Messages sent per lane.
    pub sent_messages: Vec<u64>,
}

const ACK_LEN: usize = 17;
const LANE_SYNC_LEN: usize = 40;

pub(crate) fn encode_acks(acks: &[Ack]) -> Vec<u8> {
    let mut body = Vec::with_capacity(acks.len() * ACK_LEN);
    for ack in acks {
        body.push(ack.lane);
        body.extend_from_slice(&ack.frames.to_le_bytes());
        body.extend_from_slice(&ack.limit.to_le_bytes());
    }
    body
}

pub(crate) fn decode_acks(body: &[u8]) -> Result<impl Iterator<Item = Ack>, Violation> {
    let (entries, rest) = body.as_chunks::<ACK_LEN>();
    if !rest.is_empty() || entries.len() > MAX_LANES {
        return Err(Violation::MalformedControl("ACK"));
    }
    let decode = |entry: &[u8; ACK_LEN]| {
        let mut rest = &entry[1..];
        Ack { lane: entry[0], frames: take_u64(&mut rest), limit: take_u64(&mut rest) }
    };
    Ok(entries.iter().map(decode))
}

impl Sync {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = vec![u8::try_from(self.lanes.len()).expect("at most MAX_LANES lanes")];
        for lane in &self.lanes {
            let LaneSync { next_frame, next_message, used_credit, received_frames, limit } = *lane;
            for value in [next_frame, next_message, used_credit, received_frames, limit] {
                body.extend_from_slice(&value.to_le_bytes());
            }
        }
        if let Some(ended) = &self.ended {
            body.extend_from_slice(&ended.own.0.to_le_bytes());
            body.extend_from_slice(&ended.peer.0.to_le_bytes());
            for messages in &ended.sent_messages {
                body.extend_from_slice(&messages.to_le_bytes());
            }
        }
        body
    }

    /// Reads a SYNC for `lanes` lanes.
    pub(crate) fn decode(body: &[u8], lanes: usize) -> Result<Self, Violation> {
        let malformed = Violation::MalformedControl("SYNC");
        let (&count, mut rest) = body.split_first().ok_or(malformed.clone())?;
        let with_ended = 1 + lanes * LANE_SYNC_LEN + 16 + lanes * 8;
        let has_ended = body.len() == with_ended;
        if usize::from(count) != lanes || !(has_ended || body.len() == 1 + lanes * LANE_SYNC_LEN) {
            return Err(malformed);
        }
        let lane_syncs = (0..lanes).map(|_| LaneSync {
            next_frame: take_u64(&mut rest),
            next_message: take_u64(&mut rest),
            used_credit: take_u64(&mut rest),
            received_frames: take_u64(&mut rest),
            limit: take_u64(&mut rest),
        });
        let lane_syncs: Vec<LaneSync> = lane_syncs.collect();
        if lane_syncs.iter().any(LaneSync::is_absurd) {
            return Err(malformed);
        }
        let ended = has_ended.then(|| Ended {
            own: SessionNonce(take_u64(&mut rest)),
            peer: SessionNonce(take_u64(&mut rest)),
            sent_messages: (0..lanes).map(|_| take_u64(&mut rest)).collect(),
        });
        Ok(Self { lanes: lane_syncs, ended })
    }
}

pub(crate) fn encode_close(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut body = vec![code.to_byte()];
    body.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]);
    body
}

pub(crate) fn decode_close(body: &[u8]) -> Result<(CloseCode, String), Violation> {
    let (&code, reason) = body.split_first().ok_or(Violation::MalformedControl("CLOSE"))?;
    let reason = &reason[..reason.len().min(MAX_REASON)];
    // Control characters would let a peer write on this node's terminal.
    let reason = String::from_utf8_lossy(reason).replace(char::is_control, " ");
    Ok((CloseCode::from_byte(code), reason))
}

pub(crate) fn decode_nonce(body: &[u8]) -> Result<u64, Violation> {
    let bytes = body.try_into().map_err(|_| Violation::MalformedControl("PING"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// The lane of an entry, if it exists.
pub(crate) fn checked_lane(index: u8, lanes: usize) -> Result<Lane, Violation> {
    if usize::from(index) < lanes { Ok(Lane(index)) } else { Err(Violation::UnknownLane(index)) }
}

/// Takes a number off bytes whose length was checked.
fn take_u64(bytes: &mut &[u8]) -> u64 {
    let (number, rest) = bytes.split_first_chunk().expect("the length was checked");
    *bytes = rest;
    u64::from_le_bytes(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(ended: Option<Ended>) -> Sync {
        let lane = LaneSync {
            next_frame: 1,
            next_message: 2,
            used_credit: 3,
            received_frames: 4,
            limit: 5,
        };
        Sync { lanes: vec![lane; 2], ended }
    }

    #[test]
    fn sync_round_trips_with_and_without_an_ended_session() {
        let ended =
            Ended { own: SessionNonce(8), peer: SessionNonce(9), sent_messages: vec![10, 11] };
        for sync in [sync(None), sync(Some(ended))] {
            assert_eq!(Sync::decode(&sync.encode(), 2), Ok(sync));
        }
    }

    #[test]
    fn a_sync_of_other_length_is_refused() {
        let mut body = sync(None).encode();
        assert!(Sync::decode(&body, 3).is_err());
        body.push(0);
        assert!(Sync::decode(&body, 2).is_err());
        assert!(Sync::decode(&[], 2).is_err());
    }

    #[test]
    fn acks_round_trip_and_must_be_whole() {
        let acks =
            [Ack { lane: 1, frames: 2, limit: 3 }, Ack { lane: 0, frames: u64::MAX, limit: 0 }];
        let body = encode_acks(&acks);
        assert_eq!(decode_acks(&body).unwrap().collect::<Vec<_>>(), acks);
        assert!(decode_acks(&body[1..]).is_err());
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn the_bodies_of_sync_ack_and_close_are_the_golden_ones() {
        let lane = LaneSync {
            next_frame: 1,
            next_message: 0x0203,
            used_credit: 0x04_0506,
            received_frames: 7,
            limit: 0x0809,
        };
        let ended =
            Ended { own: SessionNonce(0x0a), peer: SessionNonce(0x0b), sent_messages: vec![0x0c] };
        let sync = Sync { lanes: vec![lane], ended: Some(ended) };
        let lane = "0100000000000000 0302000000000000 0605040000000000 \
                    0700000000000000 0908000000000000";
        let ended = "0a00000000000000 0b00000000000000 0c00000000000000";
        assert_eq!(sync.encode(), bytes(&format!("01 {lane} {ended}")));

        let acks = [
            Ack { lane: 1, frames: 2, limit: 0x0304 },
            Ack { lane: 5, frames: u64::MAX, limit: 6 },
        ];
        let golden = "01 0200000000000000 0403000000000000 05 ffffffffffffffff 0600000000000000";
        assert_eq!(encode_acks(&acks), bytes(golden));

        let codes = [
            CloseCode::Drained,
            CloseCode::Replaced,
            CloseCode::Violation,
            CloseCode::Removed,
            CloseCode::SessionEnded,
        ];
        for (byte, code) in (1..).zip(codes) {
            assert_eq!(encode_close(code, "bye"), [&[byte], &b"bye"[..]].concat());
        }
    }

    #[test]
    fn a_reason_is_cut_at_its_bound() {
        let (code, reason) =
            decode_close(&encode_close(CloseCode::Drained, &"ä".repeat(300))).unwrap();
        assert_eq!((code, reason.len()), (CloseCode::Drained, MAX_REASON));
    }
}
