//! What members of a run broadcast.

use bytes::{BufMut, Bytes, BytesMut};
use dx_agents::AgentId;
use dx_agents::rng::Rng;

/// A message of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// A number in `(0, 1]`.
    Data(f64),
    /// From now on members send.
    Send,
    /// A sender has sent all that it was to.
    Done,
    /// From now on nobody sends.
    Grace,
    /// Its origin sends nothing more.
    Fin,
    /// The run is over.
    Stop,
}

impl Command {
    /// The shortest message with a number, in bytes.
    pub const MIN_DATA: usize = 9;

    /// The `number`th of an origin: the same in every run of a seed.
    #[must_use]
    pub fn data(seed: u64, origin: AgentId, number: u64) -> Self {
        let stream = Rng::stream(seed, origin.0).next_u64();
        Self::Data(1.0 - Rng::stream(stream, number).unit())
    }

    /// As bytes; a number is followed by itself up to `size` bytes.
    #[must_use]
    pub fn encode(self, size: usize) -> Bytes {
        let Self::Data(value) = self else { return Bytes::copy_from_slice(&[self.tag()]) };
        let mut bytes = BytesMut::with_capacity(size);
        bytes.put_u8(self.tag());
        let value = value.to_bits().to_le_bytes();
        bytes.extend_from_slice(&value);
        while bytes.len() < size {
            let more = (size - bytes.len()).min(value.len());
            bytes.extend_from_slice(&value[..more]);
        }
        bytes.freeze()
    }

    /// From bytes; `None` if a run sends no such message.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        Some(match tag {
            0 => Self::Data(f64::from_bits(u64::from_le_bytes(*rest.first_chunk()?))),
            1 => Self::Send,
            2 => Self::Done,
            3 => Self::Grace,
            4 => Self::Fin,
            5 => Self::Stop,
            _ => return None,
        })
    }

    fn tag(self) -> u8 {
        match self {
            Self::Data(_) => 0,
            Self::Send => 1,
            Self::Done => 2,
            Self::Grace => 3,
            Self::Fin => 4,
            Self::Stop => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_it_was_after_its_encoding() {
        let data = Command::data(7, AgentId(3), 11);
        for size in [0, 9, 10, 64, 1000] {
            assert_eq!(data.encode(size).len(), size.max(Command::MIN_DATA));
            assert_eq!(Command::decode(&data.encode(size)), Some(data));
        }
        let others = [Command::Send, Command::Done, Command::Grace, Command::Fin, Command::Stop];
        for other in others {
            assert_eq!(Command::decode(&other.encode(64)), Some(other));
        }
        assert_eq!(Command::decode(&[]), None);
        assert_eq!(Command::decode(&[0, 1, 2]), None);
        assert_eq!(Command::decode(&[99]), None);
    }

    #[test]
    fn numbers_are_above_zero_and_at_most_one() {
        for number in 0..1000 {
            let Command::Data(value) = Command::data(0, AgentId(1), number) else { unreachable!() };
            assert!(value > 0.0 && value <= 1.0);
        }
    }
}
