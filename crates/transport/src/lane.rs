//! Lanes: the ordered streams inside a session, each with its own priority and flow control.

use std::fmt;

use crate::limits;

/// An ordered stream of messages between two nodes. No order holds across lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u8);

impl Lane {
    /// The first lane: served strictly before all others. For heartbeats, votes, cancellations.
    pub const CONTROL: Self = Self(0);
    /// The second of the default lanes, for ordinary messages.
    pub const DATA: Self = Self(1);
    /// The third of the default lanes, for transfers whose latency does not matter.
    pub const BULK: Self = Self(2);

    /// The lane's position in the configuration.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CONTROL => f.write_str("control"),
            Self::DATA => f.write_str("data"),
            Self::BULK => f.write_str("bulk"),
            Self(index) => write!(f, "lane {index}"),
        }
    }
}

/// What a lane promises about messages that a broken link may have swallowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Exactly once while the session lives: kept until acknowledged, replayed over the next link.
    Reliable,
    /// Never twice: what was under way when the link broke is reported lost. Nothing is kept.
    AtMostOnce,
}

/// What happens to a message when the lane's queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Refuse it; the sender may wait for room. Nothing accepted is ever evicted.
    Refuse,
    /// Drop it, count it, and raise `SlowPeer`.
    DropNewest,
    /// Drop the oldest messages that were not yet sent, count them, and raise `SlowPeer`.
    DropOldest,
    /// End the session, and raise `SlowPeer`. What was sent and is unacknowledged, on any lane, is
    /// reported `Lost`. What this lane had not sent yet is not: it is dropped, and counted as
    /// dropped. The message, and what waits on other lanes, goes to the next session.
    EndSession,
}

/// How one lane behaves. Both ends must agree on [`Delivery`]; all else is each end's own.
///
/// Worst-case memory per peer and lane, for messages no larger than the queue: `queue_bytes +
/// replay_bytes` for sending, and one message being cut into frames. For receiving,
/// `window_bytes` and one message being put together; what the application has not taken may share
/// buffers of up to eight times its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// Name in metrics and errors.
    pub name: &'static str,
    /// See [`Delivery`]. Default: reliable.
    pub delivery: Delivery,
    /// See [`Overflow`]. Default: refuse.
    pub overflow: Overflow,
    /// Share of the link against other lanes, in frames per round. Lane 0 is served strictly
    /// first, whatever its weight. 1 to 64.
    pub weight: u8,
    /// Bytes that may wait to be sent.
    pub queue_bytes: usize,
    /// Bytes that may be sent and not yet acknowledged: the bodies of frames and
    /// [`FRAME_CREDIT`](limits::FRAME_CREDIT) for each. At the bound the lane pauses. At least one
    /// frame.
    pub replay_bytes: usize,
    /// Bytes that the peer may send ahead of this end's application: the lane's credit. A frame of
    /// whole messages takes [`FRAME_CREDIT`](limits::FRAME_CREDIT) more than its body. At least
    /// [`MIN_WINDOW`](limits::MIN_WINDOW).
    pub window_bytes: usize,
    /// The largest message this end accepts, in bytes.
    pub max_message: usize,
}

impl LaneConfig {
    /// A reliable, refusing lane with the default bounds.
    #[must_use]
    pub const fn new(name: &'static str, weight: u8) -> Self {
        Self {
            name,
            delivery: Delivery::Reliable,
            overflow: Overflow::Refuse,
            weight,
            queue_bytes: limits::QUEUE_BYTES,
            replay_bytes: limits::REPLAY_BYTES,
            window_bytes: limits::WINDOW_BYTES,
            max_message: limits::MAX_MESSAGE,
        }
    }

    /// The default lanes: control, data and bulk.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        vec![Self::new("control", 1), Self::new("data", 4), Self::new("bulk", 1)]
    }
}

/// A set of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LaneSet(u8);

impl LaneSet {
    /// Every lane there can be.
    pub const ALL: Self = Self(u8::MAX);

    /// The set of just `lane`.
    #[must_use]
    pub fn only(lane: Lane) -> Self {
        Self(1 << lane.0)
    }

    /// Adds `lane`.
    pub fn insert(&mut self, lane: Lane) {
        self.0 |= 1 << lane.0;
    }

    /// Whether `lane` is in the set.
    #[must_use]
    pub fn contains(self, lane: Lane) -> bool {
        self.0 & (1 << lane.0) != 0
    }

    /// Whether no lane is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lanes of the set, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Lane> {
        (0..8).map(Lane).filter(move |lane| self.contains(*lane))
    }
}
