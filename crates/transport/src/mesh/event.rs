//! What a mesh tells the application about its peers.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use crate::handshake::{HandshakeError, RejectCode};
use crate::id::{Incarnation, NodeId};
use crate::lane::{Lane, LaneSet};
use crate::mesh::waiters::{Awaited, Waiters, lock, wait_for, wake_all};
use crate::session::{CloseCode, Direction, Violation};
use crate::transport::DialError;

/// Something that happened to a peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeerEvent {
    /// The peer is connected.
    Up {
        /// The peer.
        peer: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// The session before goes on: nothing was lost. Otherwise a new one begins.
        resumed: bool,
        /// What carries it.
        transport: &'static str,
    },
    /// The peer is not connected, for a reason that will not pass by itself at once. The mesh
    /// goes on dialing.
    Down {
        /// The peer.
        peer: NodeId,
        /// What happened.
        reason: DownReason,
    },
    /// The peer was restarted. Its old session is over; `Up` follows.
    Restarted {
        /// The peer.
        peer: NodeId,
        /// The life that is over.
        old: Incarnation,
        /// The life that began.
        new: Incarnation,
    },
    /// Messages that were sent may never have been delivered.
    ///
    /// What a lane's policy dropped before it was sent is not among them, even where the policy
    /// ends the session: it has no number yet, and is counted in
    /// [`LaneStatus::dropped_messages`](super::LaneStatus::dropped_messages).
    Lost {
        /// The peer.
        peer: NodeId,
        /// Their lane.
        lane: Lane,
        /// The number of the first, in its session and lane, counted from 0.
        from: u64,
        /// One after the number of the last.
        to: u64,
        /// On which side they were missed.
        direction: Direction,
    },
    /// Messages that were accepted before the peer's limit was known were dropped: it accepts none
    /// so large.
    Oversized {
        /// The peer.
        peer: NodeId,
        /// Their lane.
        lane: Lane,
        /// How many, with smaller ones that shared a frame with them.
        messages: u64,
    },
    /// A queue overflowed: the peer takes messages slower than they come. Once per episode.
    SlowPeer {
        /// The peer.
        peer: NodeId,
        /// The lane whose queue is full.
        lane: Lane,
    },
    /// No link came up, or one was closed for misbehaviour. Once per distinct reason, not once
    /// per attempt.
    Refused {
        /// The peer, if it is known which.
        peer: Option<NodeId>,
        /// The address that was dialed, or the one that it came from.
        address: String,
        /// What is wrong.
        error: LinkError,
    },
    /// The peer drains: it will close once its queues are empty.
    GoingAway {
        /// The peer.
        peer: NodeId,
    },
    /// So many events were dropped here, because nobody took them.
    Missed(u64),
}

/// Why a peer is down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownReason {
    /// Its hosts are up and nobody listens there: its process is not running.
    Refused,
    /// Nothing was heard from it for the detector's time.
    Silent,
    /// It closed the session.
    Closed {
        /// Why.
        code: CloseCode,
        /// In its own words.
        reason: String,
    },
}

impl std::fmt::Display for DownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("nobody listens at its addresses"),
            Self::Silent => f.write_str("nothing was heard from it"),
            Self::Closed { code, reason } if reason.is_empty() => write!(f, "it closed: {code:?}"),
            Self::Closed { code, reason } => write!(f, "it closed: {code:?}, {reason}"),
        }
    }
}

/// Why there is no link. No message was lost by it: the session goes on over the next link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The transport could not connect, or refused what came.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The peer, or this side, refused in the handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// This side refused a peer that had proven itself.
    #[error("turned away: {0:?}")]
    TurnedAway(RejectCode),
    /// The link broke, or the peer closed it, before the handshake was done.
    #[error("the connection ended during the handshake: {0}")]
    Io(#[from] std::io::Error),
    /// The handshake took too long.
    #[error("no complete handshake within the time allowed")]
    Timeout,
    /// The peer broke the protocol: its fault, or a bug.
    #[error("the peer broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// The peer says that this side broke the protocol.
    #[error("the peer closed the link, since this side broke the protocol: {0}")]
    Accused(String),
    /// Too many connections came from one address.
    #[error("too many connections: the limit per address is exceeded")]
    RateLimited,
    /// Too many connections have not proven yet who they are.
    #[error("too many handshakes are pending")]
    Crowded,
    /// Its place among the pending handshakes went to a caller from another address, as its own
    /// held more places than any other.
    #[error("too many handshakes are pending, most of them from this address")]
    Displaced,
}

impl LinkError {
    /// Whether the peer's host said that nobody listens there.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_refusal())
    }

    /// Whether the peer keeps another link: no error at all.
    pub(crate) fn is_lost_tie(&self) -> bool {
        let Self::Handshake(HandshakeError::Rejected { code, .. }) = self else { return false };
        *code == RejectCode::Duplicate
    }
}

/// Events on their way to the application, bounded.
#[derive(Debug)]
pub(crate) struct Events {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<PeerEvent>,
    capacity: usize,
    /// Dropped since the application was told, and in all.
    missed: u64,
    missed_in_all: u64,
    waiters: Waiters,
}

impl Awaited for State {
    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }
}

impl State {
    fn take(&mut self) -> Option<PeerEvent> {
        match std::mem::take(&mut self.missed) {
            0 => self.queue.pop_front(),
            missed => Some(PeerEvent::Missed(missed)),
        }
    }
}

impl Events {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            capacity: capacity.max(1),
            missed: 0,
            missed_in_all: 0,
            waiters: Waiters::default(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Appends `event`; drops the oldest if there is no room.
    pub(crate) fn push(&self, event: PeerEvent) {
        tracing::debug!(?event, "peer event");
        let mut woken = Vec::new();
        {
            let mut state = lock(&self.state);
            if state.queue.len() == state.capacity {
                state.queue.pop_front();
                state.missed += 1;
                state.missed_in_all += 1;
            }
            state.queue.push_back(event);
            state.waiters.take(LaneSet::ALL, &mut woken);
        }
        wake_all(&mut woken);
    }

    pub(crate) fn try_next(&self) -> Option<PeerEvent> {
        lock(&self.state).take()
    }

    pub(crate) fn missed_in_all(&self) -> u64 {
        lock(&self.state).missed_in_all
    }

    pub(crate) async fn next(&self) -> PeerEvent {
        wait_for(&self.state, LaneSet::ALL, State::take).await
    }
}

/// The reasons that were reported since the last success, so that each is reported once.
#[derive(Debug, Default)]
pub(crate) struct Reported(HashSet<String>);

/// Distinct reasons that are remembered. Further ones are not reported: whoever can make up more
/// reasons than these must not fill the log.
const MAX_REASONS: usize = 64;

impl Reported {
    /// Whether `error` at `address` is news.
    pub(crate) fn is_news(&mut self, address: &str, error: &LinkError) -> bool {
        self.0.len() < MAX_REASONS && self.0.insert(format!("{address} {error}"))
    }

    /// Forgets all: what fails from here on is news again.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Text for [`PeerEvent::Refused::address`].
pub(crate) fn origin(transport: &str, from: Option<std::net::IpAddr>) -> String {
    from.map_or_else(|| transport.to_owned(), |from| format!("{transport}://{from}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(peer: u32) -> PeerEvent {
        PeerEvent::SlowPeer { peer: NodeId(peer), lane: Lane::DATA }
    }

    #[test]
    fn an_overflow_drops_the_oldest_and_says_how_many() {
        let events = Events::new(2);
        (0..5).for_each(|peer| events.push(slow(peer)));
        assert!(matches!(events.try_next(), Some(PeerEvent::Missed(3))));
        for kept in [3, 4] {
            let next = events.try_next();
            assert!(
                matches!(next, Some(PeerEvent::SlowPeer { peer: NodeId(peer), .. }) if peer == kept)
            );
        }
        assert!(events.try_next().is_none());
    }

    #[test]
    fn a_reason_is_news_once_until_something_succeeds() {
        let mut reported = Reported::default();
        assert!(reported.is_news("tcp://a", &LinkError::Timeout));
        assert!(!reported.is_news("tcp://a", &LinkError::Timeout));
        assert!(reported.is_news("tcp://b", &LinkError::Timeout));
        assert!(reported.is_news("tcp://a", &LinkError::Crowded));
        reported.clear();
        assert!(reported.is_news("tcp://a", &LinkError::Timeout));
    }
}
