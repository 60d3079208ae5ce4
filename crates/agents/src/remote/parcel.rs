//! Messages between agents as frames in the transport's lanes: how they are put in and taken out.

use bytes::Bytes;
use dx_transport::Message as Received;
use dx_transport::codec::EncodeError;
use dx_transport::lane::LaneConfig;
use dx_transport::limits::COPY_THRESHOLD;

use crate::lane::Lane;
use crate::message::{Body, Encoded, MAX_MESSAGE, Raw};
use crate::remote::wire::{Content, Head};

/// The longest frame that a lane takes: a message, and room for its head.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// One lane of the transport for each lane between agents.
#[must_use]
pub fn lanes() -> Vec<LaneConfig> {
    let lane = |name, weight| {
        let mut lane = LaneConfig::new(name, weight);
        lane.max_message = MAX_FRAME;
        lane
    };
    vec![lane("urgent", 1), lane("normal", 4), lane("bulk", 1)]
}

/// Appends a frame with a message to `out`; returns what it takes of its receiver's mailbox.
///
/// # Errors
/// If the message has no encoding, or too long a one.
pub fn write(head: Head, body: &Body, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
    let (start, beside) = match body {
        Body::Typed(message) => {
            let beside = message.any_body();
            let len = beside.len();
            let room = MAX_MESSAGE
                .checked_sub(len)
                .ok_or(EncodeError::TooLarge { len, limit: MAX_MESSAGE })?;
            head.write(message.any_tag(), len, out);
            let start = out.len();
            message.encode_into(room, out)?;
            (start, beside)
        }
        Body::Wire(wire) => {
            let encoded = &wire.encoded;
            head.write(encoded.tag, encoded.body.len(), out);
            let start = out.len();
            out.extend_from_slice(&encoded.value);
            (start, encoded.body.clone())
        }
    };
    out.extend_from_slice(&beside);
    Ok((out.len() - start) as u64)
}

/// The message as its receiver opens it later. Small parts are copied, so that none keeps a whole
/// receive buffer; large ones share it.
#[must_use]
pub fn read(content: Content<'_>, message: Received<'_>, lane: Lane) -> Encoded {
    let part = |bytes| part(bytes, message);
    Encoded { tag: content.tag, lane, value: part(content.value), body: part(content.body) }
}

/// The message as its receiver opens it now.
#[must_use]
#[inline]
pub fn raw<'a>(content: Content<'a>, message: Received<'_>) -> Raw<'a> {
    Raw { tag: content.tag, value: content.value, body: part(content.body, message) }
}

fn part(bytes: &[u8], message: Received<'_>) -> Bytes {
    if message.len() > COPY_THRESHOLD {
        message.to_bytes().slice_ref(bytes)
    } else {
        Bytes::copy_from_slice(bytes)
    }
}
