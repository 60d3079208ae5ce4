//! Frames of JSON: a length of four bytes, then so many bytes. The length is checked first.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest greeting or answer, in bytes.
pub const MAX_ANSWER: usize = 4 * 1024;

/// The largest place in a cluster, in bytes: nearly all of it is configuration.
pub const MAX_PLACE: usize = 1024 * 1024;

/// Why a frame was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection ended or broke.
    #[error("the connection ended: {0}")]
    Io(#[from] io::Error),
    /// The frame says that it is longer than allowed. Nothing of it was read.
    #[error("a message of {length} bytes, where {max} are allowed")]
    TooLarge {
        /// Its length.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// It is not what was expected.
    #[error("a message that cannot be understood")]
    Malformed,
}

/// Reads a frame of at most `max` bytes.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<T, ReadError> {
    let length = from.read_u32().await? as usize;
    if length > max {
        return Err(ReadError::TooLarge { length, max });
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    // The reason could quote a secret.
    serde_json::from_slice(&body).map_err(|_| ReadError::Malformed)
}

/// The frame of `message`.
pub fn frame(message: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(message).expect("messages are plain data");
    let length = u32::try_from(body.len()).expect("no message reaches 4 GiB");
    [&length.to_be_bytes()[..], &body].concat()
}

/// Writes a frame.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::super::message::Greeting;
    use super::*;

    async fn read_from(bytes: &[u8], max: usize) -> Result<String, ReadError> {
        read::<Greeting>(&mut &*bytes, max).await.map(|greeting| greeting.proof)
    }

    #[tokio::test]
    async fn a_frame_is_read_whole_or_refused() {
        let frame = frame(&Greeting { proof: "ab".to_owned() });
        assert_eq!(read_from(&frame, 100).await.unwrap(), "ab");
        for end in 0..frame.len() {
            assert!(matches!(read_from(&frame[..end], 100).await, Err(ReadError::Io(_))));
        }
        let long = read_from(&frame, frame.len() - 5).await;
        assert!(matches!(long, Err(ReadError::TooLarge { .. })));
        let huge = read_from(&[0xff; 8], MAX_PLACE).await;
        assert!(matches!(huge, Err(ReadError::TooLarge { length: 0xffff_ffff, .. })));
        let other = read_from(b"\0\0\0\x02[]", 100).await;
        assert!(matches!(other, Err(ReadError::Malformed)));
    }
}
