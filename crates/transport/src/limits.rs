//! Every bound of the crate that is not a field of a configuration, with its reason.

use std::time::Duration;

/// Lanes of a session. A `LaneSet` is one byte.
pub const MAX_LANES: usize = 8;

/// Bytes of a frame's body. Bounds how long a frame of one lane can hold up another's:
/// 52 us at 10 Gbit/s, 0.5 ms at 1 Gbit/s. (Erlang's distribution and zenoh chose the same.)
pub const MAX_FRAME: usize = 64 * 1024;

/// Messages up to this size are copied into the lane's open batch; larger ones go by reference.
/// Copying 4 KiB costs less than a frame of its own; a guess that the micro-benches confirm.
pub const COPY_THRESHOLD: usize = 4 * 1024;

/// Default bytes waiting to be sent, per lane: 16 frames keep the writer busy.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// Default bound on what is sent and unacknowledged, per lane: bandwidth x delay of 1 Gbit/s x 64 ms.
pub const REPLAY_BYTES: usize = 8 * 1024 * 1024;

/// Default receive window, per lane.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that a frame counts beside its body: about what it costs to keep one, however small.
/// Frames of whole messages take them of the receiver's window, as without them a window of a few
/// MiB would let a peer fill hundreds. All frames take them of the sender's replay bound.
pub const FRAME_CREDIT: usize = 64;

/// The least receive window: credit is returned by halves, and a half must hold a frame.
pub const MIN_WINDOW: usize = 2 * (MAX_FRAME + FRAME_CREDIT);

/// Default largest message.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// The largest message that a lane may be configured for: lengths on the wire are 32 bits wide.
pub const MAX_MESSAGE_CEILING: usize = 1 << 30;

/// An acknowledgement is due after this many bytes of frames,
pub const ACK_BYTES: usize = 256 * 1024;

/// or this many frames,
pub const ACK_FRAMES: u32 = 64;

/// or this long after the first of them.
pub const ACK_DELAY: Duration = Duration::from_millis(20);

/// Body of a handshake packet.
pub const MAX_HANDSHAKE: usize = 4 * 1024;

/// Time for a whole handshake, TLS or QUIC included. A slow one loses its place.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Text that goes with a close or a rejection, in bytes.
pub const MAX_REASON: usize = 256;
