//! The only entry to bincode: handshake bodies and, above this crate, agents' messages.
//!
//! Every decoding is bounded in size and must use up its input. Types on the wire must be neither
//! recursive nor sequences of zero-sized elements: bincode bounds neither. Byte bodies travel
//! beside an encoded value, as `Bytes`, never inside it. Golden vectors in the tests pin the
//! format, so that the implementation may change without notice by a peer.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest value that can be encoded or decoded, in bytes.
pub const MAX_ENCODED: usize = 16 * 1024 * 1024;

/// A value cannot be put on the wire. Fault of the caller.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It is larger than `limit`.
    #[error("the encoded value has {len} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes it would take.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Its `Serialize` implementation failed.
    #[error("the value cannot be encoded: {0}")]
    Value(String),
}

/// Bytes are no value of the expected type. Fault of the peer.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_ENCODED`].
    #[error("{len} bytes are more than the {MAX_ENCODED} that may be decoded")]
    TooLarge {
        /// Bytes given.
        len: usize,
    },
    /// Bytes are left over.
    #[error("{extra} bytes follow the value")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// They do not encode such a value.
    #[error("not a valid encoding: {0}")]
    Malformed(String),
}

type Config = Configuration<LittleEndian, Varint, Limit<MAX_ENCODED>>;

fn config() -> Config {
    bincode::config::standard().with_limit::<MAX_ENCODED>()
}

/// Encodes `value`.
///
/// # Errors
/// If it is larger than `limit` or cannot be serialised.
pub fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    encode_into(value, limit, &mut bytes)?;
    Ok(bytes)
}

/// Encodes `value` at the end of `out`, for whoever has a header before it or uses a buffer again.
///
/// # Errors
/// As [`encode`]; then `out` is as it was.
#[expect(clippy::disallowed_methods, reason = "the one place where bincode is called")]
pub fn encode_into<T: Serialize>(
    value: &T,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let result = bincode::serde::encode_into_writer(value, Appending { out }, config());
    let len = out.len() - start;
    let result = match result {
        Err(error) => Err(EncodeError::Value(error.to_string())),
        Ok(()) if len > limit => Err(EncodeError::TooLarge { len, limit }),
        Ok(()) => return Ok(()),
    };
    out.truncate(start);
    result
}

struct Appending<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer for Appending<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// Decodes all of `bytes`.
///
/// # Errors
/// If they are too long, malformed, or longer than the value.
#[expect(clippy::disallowed_methods, reason = "the one place where bincode is called")]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_ENCODED {
        return Err(DecodeError::TooLarge { len: bytes.len() });
    }
    let (value, used) = bincode::serde::decode_from_slice(bytes, config())
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if used != bytes.len() {
        return Err(DecodeError::TrailingBytes { extra: bytes.len() - used });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        small: u8,
        large: u64,
        text: String,
        list: Vec<u16>,
        choice: Option<bool>,
    }

    fn sample() -> Sample {
        Sample {
            small: 7,
            large: 70_000,
            text: "dx".into(),
            list: vec![1, 300],
            choice: Some(true),
        }
    }

    #[test]
    fn the_format_is_the_golden_one() {
        let golden = [7, 252, 0x70, 0x11, 1, 0, 2, b'd', b'x', 2, 1, 251, 0x2c, 1, 1, 1];
        assert_eq!(encode(&sample(), 100).unwrap(), golden);
        assert_eq!(decode::<Sample>(&golden).unwrap(), sample());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&sample(), 100).unwrap();
        bytes.push(0);
        let error = decode::<Sample>(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::TrailingBytes { extra: 1 }), "{error}");
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let claim = [253, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(matches!(decode::<Vec<u64>>(&claim), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn what_cannot_be_encoded_leaves_the_buffer_as_it_was() {
        let mut out = vec![1, 2];
        assert!(encode_into(&sample(), 15, &mut out).is_err());
        assert_eq!(out, [1, 2]);
        encode_into(&sample(), 16, &mut out).unwrap();
        assert_eq!(out.len(), 18);
    }

    #[test]
    fn an_oversized_value_is_not_encoded() {
        assert!(matches!(encode(&sample(), 15), Err(EncodeError::TooLarge { len: 16, limit: 15 })));
    }
}
