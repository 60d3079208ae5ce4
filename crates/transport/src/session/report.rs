//! What a session tells its driver.

use std::time::Duration;

use crate::batch::Batch;
use crate::frame::HeaderError;
use crate::lane::Lane;

/// What bytes from a link amounted to.
#[derive(Debug, Default)]
pub struct Received {
    /// Messages for the application, in order per lane.
    pub batches: Vec<Batch>,
    /// Everything else that the driver must know.
    pub signals: Vec<Signal>,
}

/// Something that a peer's session said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Both sides know where they stand: messages flow from here on.
    Synced,
    /// Messages of the previous session, or of an at-most-once lane, never came.
    Lost(Lost),
    /// The peer drains: it will close when its queues are empty.
    GoAway,
    /// The peer closes the link.
    Closed {
        /// Why.
        code: CloseCode,
        /// For people; at most [`MAX_REASON`](crate::limits::MAX_REASON) bytes.
        reason: String,
    },
}

/// Messages that were accepted for sending and may never have been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Their lane.
    pub lane: Lane,
    /// The number of the first, in its session and lane, counted from 0.
    pub from: u64,
    /// One after the number of the last.
    pub to: u64,
    /// Who reports them.
    pub direction: Direction,
}

/// The side that reports a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The sender: an upper bound, since an acknowledgement may have been lost, too.
    Sent,
    /// The receiver: exact.
    Received,
}

/// Why a side closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// It has drained and leaves.
    Drained,
    /// Another link to the same peer took its place.
    Replaced,
    /// The peer broke the protocol.
    Violation,
    /// It no longer knows this peer.
    Removed,
    /// The session ended on its side.
    SessionEnded,
    /// A code of a later version.
    Other(u8),
}

impl CloseCode {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Drained => 1,
            Self::Replaced => 2,
            Self::Violation => 3,
            Self::Removed => 4,
            Self::SessionEnded => 5,
            Self::Other(byte) => byte,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Drained,
            2 => Self::Replaced,
            3 => Self::Violation,
            4 => Self::Removed,
            5 => Self::SessionEnded,
            other => Self::Other(other),
        }
    }
}

/// A new link was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The session of the previous link goes on.
    pub resumed: bool,
    /// What was lost with the session that ended, if one did.
    pub lost: Vec<Lost>,
    /// Per lane, messages that waited to be sent and were dropped: the peer accepts none so large.
    pub oversized: Vec<(Lane, u64)>,
}

/// What the passing of time amounted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Nothing to do, or something to transmit.
    Nothing,
    /// Nothing was heard for too long: drop the link.
    LinkSilent,
    /// There was no link for too long: end the session.
    Expired,
}

/// Counters of a session; those of one lane in [`LaneStats`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// The last measured round trip through both drivers, if any.
    pub rtt: Option<Duration>,
    /// Time that this process did not run and that was not held against the peer.
    pub stalled: Duration,
    /// Per lane.
    pub lanes: Vec<LaneStats>,
}

/// Counters of a lane. All but the last four grow over the life of the peer, across sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Messages given to links, each once.
    pub sent_messages: u64,
    /// Bytes of their frames' bodies.
    pub sent_bytes: u64,
    /// Frames that carried them.
    pub sent_frames: u64,
    /// Messages delivered to the application.
    pub received_messages: u64,
    /// Bytes of accepted frames' bodies.
    pub received_bytes: u64,
    /// Frames sent again over a new link.
    pub replayed_frames: u64,
    /// Received frames that had been received before, and were dropped.
    pub duplicate_frames: u64,
    /// Messages reported lost, sent and received.
    pub lost_messages: u64,
    /// Times that sending stopped for want of the peer's credit.
    pub credit_stalls: u64,
    /// Times that sending stopped because the replay bound was reached.
    pub replay_stalls: u64,
    /// Bytes sent and unacknowledged now.
    pub unacked_bytes: usize,
    /// Credit of what was received and not yet taken by the application now.
    pub held_bytes: usize,
    /// Bytes of the message being reassembled now.
    pub assembly_bytes: usize,
    /// Bytes that the peer still allows to be sent now.
    pub credit_bytes: u64,
}

/// The peer broke the protocol: the link must be closed. The session's state is unchanged and
/// can be resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A header that is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A lane that was not agreed on.
    #[error("frame for lane {0}, which does not exist")]
    UnknownLane(u8),
    /// A lane's frame on another lane's channel.
    #[error("frame of lane {lane} on channel {channel}")]
    WrongChannel {
        /// Its lane.
        lane: u8,
        /// Where it came.
        channel: usize,
    },
    /// Frames are missing.
    #[error("{lane}: frame {got} came where {expected} was due")]
    Gap {
        /// The lane.
        lane: Lane,
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A batch that does not hold the messages it claims, or one that is too long, or none; or
    /// an empty message outside of a batch.
    #[error("{0}: malformed messages")]
    MalformedMessages(Lane),
    /// A message over the lane's limit.
    #[error("{lane}: message of {len} bytes, at most {limit} are accepted")]
    MessageTooLong {
        /// The lane.
        lane: Lane,
        /// What was announced.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A fragment that does not continue what came before.
    #[error("{0}: fragment out of place")]
    MisplacedFragment(Lane),
    /// More bytes than were granted.
    #[error("{lane}: {over} bytes more than granted")]
    OverCredit {
        /// The lane.
        lane: Lane,
        /// By how much.
        over: u64,
    },
    /// An acknowledgement of frames that were never sent.
    #[error("{lane}: {acked} frames acknowledged of {sent} sent")]
    AckBeyondSent {
        /// The lane.
        lane: Lane,
        /// What was acknowledged.
        acked: u64,
        /// What was sent.
        sent: u64,
    },
    /// A control frame that cannot be read.
    #[error("malformed {0} frame")]
    MalformedControl(&'static str),
    /// A frame before the first one, which must be SYNC, or a second SYNC.
    #[error("SYNC is missing or came twice")]
    MisplacedSync,
    /// A resumed lane that does not continue where it stopped.
    #[error("{0}: the peer resumes from a frame that was never received")]
    CannotResume(Lane),
}
