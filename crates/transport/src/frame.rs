//! Frames: what goes over a channel once the handshake is done.
//!
//! ```text
//! 0     1     2        4            8            12           16
//! | kind | lane | flags  |  body len  |  sequence  |   extra    |  body ...
//! ```
//! All numbers are little endian. `sequence` is the low half of the frame's number in its lane;
//! `extra` is the number of messages of a batch, or the length of a fragmented message.
//! `MAX_FRAME` is checked before anything is allocated.

use crate::limits::MAX_FRAME;

/// Bytes of a frame's header.
pub const HEADER: usize = 16;

/// Set on the first fragment of a message.
pub const FLAG_FIRST: u16 = 1;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Several small messages, each behind its length as a varint.
    Batch,
    /// One message.
    Data,
    /// A piece of a message that is larger than a frame.
    Fragment,
    /// Frames received and bytes granted, per lane.
    Ack,
    /// Asks for a [`Kind::Pong`] with the same body.
    Ping,
    /// Answers a [`Kind::Ping`].
    Pong,
    /// The first frame on every link: where each side stands, per lane.
    Sync,
    /// The sender is draining: it accepts no new messages and will close.
    GoAway,
    /// The sender closes the link, with a code and a reason.
    Close,
    /// A kind of a later version that may be skipped.
    Skippable(u8),
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Batch,
            2 => Self::Data,
            3 => Self::Fragment,
            16 => Self::Ack,
            17 => Self::Ping,
            18 => Self::Pong,
            19 => Self::Sync,
            20 => Self::GoAway,
            21 => Self::Close,
            128.. => Self::Skippable(byte),
            _ => return None,
        })
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Batch => 1,
            Self::Data => 2,
            Self::Fragment => 3,
            Self::Ack => 16,
            Self::Ping => 17,
            Self::Pong => 18,
            Self::Sync => 19,
            Self::GoAway => 20,
            Self::Close => 21,
            Self::Skippable(byte) => byte,
        }
    }

    /// Whether frames of this kind belong to a lane and are numbered.
    #[must_use]
    pub fn is_numbered(self) -> bool {
        matches!(self, Self::Batch | Self::Data | Self::Fragment)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it carries.
    pub kind: Kind,
    /// Its lane; 0 for kinds without.
    pub lane: u8,
    /// See [`FLAG_FIRST`].
    pub flags: u16,
    /// Bytes of the body, at most [`MAX_FRAME`].
    pub len: u32,
    /// Low 32 bits of its number in the lane.
    pub seq: u32,
    /// Messages of a batch, or bytes of a fragmented message; else 0.
    pub extra: u32,
}

/// A header that breaks the format. Fault of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a kind of this version, and not one that may be skipped.
    #[error("frame of unknown kind {0}")]
    UnknownKind(u8),
    /// Longer than a frame may be.
    #[error("frame of {0} bytes, at most {MAX_FRAME} are allowed")]
    TooLong(u32),
}

impl Header {
    /// A header of a kind without lane or number.
    #[must_use]
    pub fn control(kind: Kind, len: usize) -> Self {
        Self { kind, lane: 0, flags: 0, len: fits(len), seq: 0, extra: 0 }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// If its kind is unknown or its length over the bound.
    pub fn decode(bytes: &[u8; HEADER]) -> Result<Self, HeaderError> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let kind = Kind::from_byte(bytes[0]).ok_or(HeaderError::UnknownKind(bytes[0]))?;
        let len = word(4);
        if len as usize > MAX_FRAME {
            return Err(HeaderError::TooLong(len));
        }
        let flags = u16::from_le_bytes([bytes[2], bytes[3]]);
        Ok(Self { kind, lane: bytes[1], flags, len, seq: word(8), extra: word(12) })
    }

    /// Writes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind.to_byte();
        bytes[1] = self.lane;
        bytes[2..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.seq.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.extra.to_le_bytes());
        bytes
    }
}

/// A length that the frame limits keep far below `u32::MAX`.
pub(crate) fn fits(len: usize) -> u32 {
    u32::try_from(len).expect("lengths are checked against MAX_MESSAGE_CEILING before")
}

/// Bytes that `len` takes as a varint: 7 bits each, least significant first.
#[must_use]
pub fn varint_len(len: usize) -> usize {
    match len {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        _ => 3,
    }
}

/// Writes `len` (below 2^21) as a varint into `out`, and returns the bytes used.
pub fn write_varint(len: usize, out: &mut [u8; 3]) -> usize {
    let count = varint_len(len);
    for (index, byte) in out.iter_mut().enumerate().take(count) {
        let more = if index + 1 < count { 0x80 } else { 0 };
        *byte = ((len >> (7 * index)) & 0x7f) as u8 | more;
    }
    count
}

/// Takes a varint off the front of `bytes`; `None` if it is cut short or longer than 3 bytes.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Option<usize> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(usize::from(first));
    }
    let (&second, rest) = rest.split_first()?;
    let low = usize::from(first & 0x7f) | usize::from(second & 0x7f) << 7;
    if second < 0x80 {
        *bytes = rest;
        return Some(low);
    }
    let (&third, rest) = rest.split_first()?;
    *bytes = rest;
    (third < 0x80).then_some(low | usize::from(third) << 14)
}

/// Takes one message off the front of a batch's body; `None` at its end or where it is malformed.
#[inline]
pub fn next_message<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = read_varint(body)?;
    let (message, rest) = body.split_at_checked(len)?;
    *body = rest;
    Some(message)
}

/// Whether `body` is exactly `count` messages of at most `max_message` bytes each.
#[must_use]
pub fn holds_messages(mut body: &[u8], count: u32, max_message: usize) -> bool {
    for _ in 0..count {
        if next_message(&mut body).is_none_or(|message| message.len() > max_message) {
            return false;
        }
    }
    body.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_sixteen_golden_bytes() {
        let header = Header {
            kind: Kind::Fragment,
            lane: 2,
            flags: FLAG_FIRST,
            len: 0x1234,
            seq: 7,
            extra: 0x0102_0304,
        };
        let golden = [3, 2, 1, 0, 0x34, 0x12, 0, 0, 7, 0, 0, 0, 4, 3, 2, 1];
        assert_eq!(header.encode(), golden);
        assert_eq!(Header::decode(&golden), Ok(header));
    }

    #[test]
    fn a_length_over_the_bound_is_refused() {
        let mut bytes = Header::control(Kind::Data, MAX_FRAME).encode();
        assert!(Header::decode(&bytes).is_ok());
        bytes[4] = 1;
        assert_eq!(Header::decode(&bytes), Err(HeaderError::TooLong(MAX_FRAME as u32 + 1)));
    }

    #[test]
    fn only_high_kinds_may_be_skipped() {
        let mut bytes = Header::control(Kind::Ping, 0).encode();
        bytes[0] = 99;
        assert_eq!(Header::decode(&bytes), Err(HeaderError::UnknownKind(99)));
        bytes[0] = 200;
        assert_eq!(Header::decode(&bytes).unwrap().kind, Kind::Skippable(200));
    }

    #[test]
    fn varints_round_trip_at_every_boundary() {
        for len in [0, 1, 127, 128, 16_383, 16_384, MAX_FRAME] {
            let mut bytes = [0; 3];
            let count = write_varint(len, &mut bytes);
            assert_eq!(count, varint_len(len));
            let mut rest = &bytes[..count];
            assert_eq!(read_varint(&mut rest), Some(len));
            assert!(rest.is_empty());
            assert_eq!(read_varint(&mut &bytes[..count - 1]), None);
        }
        assert_eq!(read_varint(&mut &[0xff, 0xff, 0xff, 0x7f][..]), None);
    }

    #[test]
    fn a_batch_must_hold_exactly_its_messages() {
        let body = [1, b'a', 0, 2, b'b', b'c'];
        assert!(holds_messages(&body, 3, 2));
        assert!(!holds_messages(&body, 2, 2));
        assert!(!holds_messages(&body, 4, 2));
        assert!(!holds_messages(&body[..5], 3, 2));
        assert!(!holds_messages(&body, 3, 1));
    }
}
