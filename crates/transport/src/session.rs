//! The session: the ordered conversation of two incarnations, which outlives its links.
//!
//! A sans-IO machine. It owns no socket, clock, thread or randomness; whoever drives it passes
//! bytes, time and nonces in and takes bytes, messages and signals out. All transports get the
//! same semantics because all of them are here.
//!
//! - **Set-up**: [`Session::attach`] when a handshake is done, [`Session::detach`] when the link
//!   breaks, [`Session::end`] when the session is over.
//! - **In**: [`Session::with_slots`] says where the link's next bytes go, [`Session::on_read`]
//!   takes them; [`Session::consumed`] and [`Session::on_timeout`].
//! - **Out**: [`Session::poll_transmit`], [`Session::deadline`], and what `on_read` puts into
//!   [`Received`].
//!
//! Within one turn a driver reads first, then looks at the time, then transmits; so a process
//! that was stalled hears what has arrived before it judges who is silent. Time never goes back.
//!
//! ```text
//! Outbox -> Outgoing (number, keep, replay) -> frames -> link -> Reader -> Incoming -> Batch
//! ```

mod control;
mod incoming;
mod liveness;
mod outgoing;
mod reader;
mod receive;
mod report;
mod schedule;
mod send_queue;
mod transmit;

use std::io::IoSliceMut;
use std::sync::Arc;
use std::time::Duration;

pub use self::liveness::Timing;
pub use self::report::{
    Attached, CloseCode, Direction, LaneStats, Lost, Received, SessionStats, Signal, Timeout,
    Violation,
};
pub use self::send_queue::SendQueue;

use self::control::Ended;
use self::incoming::Incoming;
use self::liveness::Liveness;
use self::outgoing::{Headers, Outgoing};
use self::reader::Reader;
use self::receive::Found;
use self::schedule::Schedule;
use crate::buffer::BufferPool;
use crate::hello::Hello;
use crate::id::{Incarnation, NodeId, SessionNonce};
use crate::lane::{Lane, LaneConfig};
use crate::limits::MAX_LANES;
use crate::outbox::Outbox;
use crate::time::Instant;

/// What all sessions of a mesh share.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The lanes, [`Lane::CONTROL`] first; 1 to [`MAX_LANES`].
    pub lanes: Vec<LaneConfig>,
    /// See [`Timing`].
    pub timing: Timing,
    /// Where receive buffers come from.
    pub pool: Arc<BufferPool>,
}

/// One side of a session. See the [module's documentation](self).
pub struct Session {
    config: Arc<SessionConfig>,
    nonce: SessionNonce,
    /// The peer of the current or last link.
    peer: Option<Peer>,
    outgoing: Vec<Outgoing>,
    incoming: Vec<Incoming>,
    stats: Vec<LaneStats>,
    schedule: Schedule,
    headers: Headers,
    found: Vec<Found>,
    link: Option<LinkState>,
    unlinked_since: Option<Instant>,
    /// The peer's SYNC has come in this session, over whichever link.
    has_synced: bool,
    /// How far the previous session got, as every SYNC says, and how much of the peer's part was
    /// received: nothing once it is known what was missed.
    ended: Option<(Ended, Vec<u64>)>,
    rtt: Option<Duration>,
    stalled: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    node: NodeId,
    incarnation: Incarnation,
    nonce: SessionNonce,
}

/// What goes with the current link.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not one state")]
struct LinkState {
    readers: Vec<Reader>,
    liveness: Liveness,
    /// The peer's SYNC has come: messages may flow.
    is_synced: bool,
    owes_sync: bool,
    owes_pong: Option<u64>,
    owes_go_away: bool,
    /// The peer has said GOAWAY: said again, it is no news.
    has_heard_go_away: bool,
    close: Option<(CloseCode, String)>,
    is_closed: bool,
}

impl Session {
    /// A session that has no link yet. `nonce` must be fresh and random.
    ///
    /// # Panics
    /// If there are no lanes or more than [`MAX_LANES`].
    #[must_use]
    pub fn new(config: Arc<SessionConfig>, nonce: SessionNonce) -> Self {
        let lanes = &config.lanes;
        assert!((1..=MAX_LANES).contains(&lanes.len()), "a session has 1 to {MAX_LANES} lanes");
        let indexed = || (0..).map(Lane).zip(lanes);
        Self {
            nonce,
            peer: None,
            outgoing: indexed().map(|(lane, config)| Outgoing::new(lane, config)).collect(),
            incoming: indexed().map(|(lane, config)| Incoming::new(lane, config)).collect(),
            stats: vec![LaneStats::default(); lanes.len()],
            schedule: Schedule::new(lanes),
            headers: Headers::default(),
            found: Vec::new(),
            link: None,
            unlinked_since: None,
            has_synced: false,
            ended: None,
            rtt: None,
            stalled: Duration::ZERO,
            config,
        }
    }

    /// This side's half of the session's identity.
    #[must_use]
    pub fn nonce(&self) -> SessionNonce {
        self.nonce
    }

    /// Whether the session is bound to another one of `peer`'s than it now presents: that must be
    /// over, or the handshake is a late one. Only a fresh nonce of this side tells them apart.
    #[must_use]
    pub fn is_bound_to_other(&self, peer: &Hello) -> bool {
        // One in which the peer never spoke holds nothing. If that ended the other side's, each would
        // go on ending what the other has just begun.
        let same_life = |bound: &Peer| bound.incarnation == peer.incarnation;
        self.has_synced
            && self.peer.filter(same_life).is_some_and(|bound| bound.nonce != peer.session)
    }

    /// A handshake with `peer` is done: the new link takes the place of any old one.
    ///
    /// Where the peer presents the nonce that this session is bound to, the session goes on; else
    /// the old one ends here, too, and a new one begins. The handshake must have checked that the
    /// lanes agree. The outbox adopts the peer's limits.
    pub fn attach(
        &mut self,
        now: Instant,
        channels: usize,
        peer: &Hello,
        outbox: &mut Outbox,
    ) -> Attached {
        let resumed = self.peer.is_some_and(|bound| bound.nonce == peer.session);
        let lost = if resumed { Vec::new() } else { self.forget_session() };
        self.peer =
            Some(Peer { node: peer.node, incarnation: peer.incarnation, nonce: peer.session });
        let mut oversized = Vec::new();
        for (index, offer) in peer.lanes.iter().enumerate().take(self.outgoing.len()) {
            let mut limit = self.config.lanes[index].max_message;
            self.outgoing[index].attach(offer, &mut limit);
            self.incoming[index].attach(offer);
            let lane = Lane(index as u8);
            let messages = outbox.limit_messages(lane, limit);
            if messages > 0 {
                oversized.push((lane, messages));
            }
        }
        self.link = Some(LinkState::new(now, channels));
        self.unlinked_since = None;
        Attached { resumed, lost, oversized }
    }

    /// The link broke. The session waits for the next one.
    pub fn detach(&mut self, now: Instant) {
        if self.link.take().is_some() {
            self.unlinked_since = Some(now);
        }
    }

    /// Ends the session: the link must be dropped, what is unacknowledged is reported and will
    /// not be sent again. `next_nonce` must be fresh and random.
    pub fn end(&mut self, next_nonce: SessionNonce) -> Vec<Lost> {
        // A session that never had a peer is still the one that handshakes under way speak of.
        let was_bound = self.peer.is_some();
        let lost = self.forget_session();
        if was_bound {
            self.nonce = next_nonce;
        }
        self.link = None;
        self.unlinked_since = None;
        lost
    }

    fn forget_session(&mut self) -> Vec<Lost> {
        let Some(peer) = self.peer.take() else { return Vec::new() };
        let sent_messages = self.outgoing.iter().map(Outgoing::sent_messages).collect();
        let received = self.incoming.iter_mut().map(Incoming::end).collect();
        // A session in which the peer never spoke may be that of a link that was turned away: it
        // must not hide how far the one before got.
        if std::mem::take(&mut self.has_synced) || self.ended.is_none() {
            let ended = Ended { own: self.nonce, peer: peer.nonce, sent_messages };
            self.ended = Some((ended, received));
        }
        let lanes = self.outgoing.iter_mut().zip(&mut self.stats);
        lanes.filter_map(|(lane, stats)| lane.end(stats)).collect()
    }

    /// Queues CLOSE: no message follows it on this link. Once [`Self::is_closed`] and the bytes are
    /// written, the driver may close the link. For as long as it does not, what the peer sends is
    /// still received and acknowledged.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        if let Some(link) = &mut self.link {
            link.close.get_or_insert_with(|| (code, reason.to_owned()));
        }
    }

    /// Queues GOAWAY: this side drains.
    pub fn go_away(&mut self) {
        if let Some(link) = &mut self.link {
            link.owes_go_away = true;
        }
    }

    /// Where the next bytes of `channel` go: `read` gets the slots and fills them in order.
    /// `None` while the channel must not be read: there is no link, or its first frame has not
    /// come on channel 0.
    pub fn with_slots<R>(
        &mut self,
        channel: usize,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
    ) -> Option<R> {
        let link = self.link.as_mut().filter(|link| channel == 0 || link.is_synced)?;
        let reader = link.readers.get_mut(channel)?;
        Some(reader.with_slots(&mut self.incoming, &self.config.pool, read))
    }

    /// The application has taken `bytes` of messages of `lane` in all, over the life of this
    /// value: the peer may send as many more.
    pub fn consumed(&mut self, lane: Lane, bytes: u64) {
        self.incoming[lane.index()].consume(bytes);
    }

    /// When [`Self::on_timeout`] wants to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let timing = &self.config.timing;
        let Some(link) = &self.link else {
            return self.unlinked_since.map(|since| since + timing.session_ttl);
        };
        let acks = self.incoming.iter().filter_map(|lane| lane.ack_deadline(timing.ack_delay));
        let liveness = [link.liveness.ping_due(timing), link.liveness.silent_at(timing)];
        acks.chain(liveness).min()
    }

    /// Time has passed. Call it when the deadline is reached, after reading what has arrived;
    /// calling it at any other time does no harm.
    pub fn on_timeout(&mut self, now: Instant) -> Timeout {
        let Some(deadline) = self.deadline().filter(|deadline| *deadline <= now) else {
            return Timeout::Nothing;
        };
        let timing = &self.config.timing;
        let Some(link) = &mut self.link else { return Timeout::Expired };
        self.stalled += link.liveness.discount(deadline, now);
        if link.liveness.silent_at(timing) <= now {
            return Timeout::LinkSilent;
        }
        if link.liveness.silence(now) >= timing.ping_interval {
            self.shrink();
        }
        Timeout::Nothing
    }

    /// Returns the memory of idle channels.
    fn shrink(&mut self) {
        if let Some(link) = &mut self.link {
            link.readers.iter_mut().for_each(Reader::shrink);
        }
        self.headers = Headers::default();
        self.found = Vec::new();
    }

    /// Whether there is a link.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the CLOSE frame has been given to the link.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_closed)
    }

    /// Whether everything accepted for sending has been acknowledged.
    #[must_use]
    pub fn is_drained(&self, outbox: &Outbox) -> bool {
        outbox.is_empty() && self.outgoing.iter().all(Outgoing::is_settled)
    }

    /// How long nothing has been heard on the link.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        self.link.as_ref().map_or(Duration::ZERO, |link| link.liveness.silence(now))
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let lanes = (0..self.stats.len()).map(|lane| self.lane_stats(lane)).collect();
        SessionStats { rtt: self.rtt, stalled: self.stalled, lanes }
    }

    fn lane_stats(&self, lane: usize) -> LaneStats {
        LaneStats {
            unacked_bytes: self.outgoing[lane].unacked_bytes(),
            credit_bytes: self.outgoing[lane].credit_bytes(),
            held_bytes: self.incoming[lane].held_bytes(),
            assembly_bytes: self.incoming[lane].assembly_bytes(),
            ..self.stats[lane]
        }
    }

    /// Checks the invariants.
    ///
    /// # Panics
    /// If one is broken: a bug of this crate.
    pub fn check(&self) {
        self.outgoing.iter().for_each(Outgoing::check);
        self.incoming.iter().for_each(Incoming::check);
    }
}

impl LinkState {
    fn new(now: Instant, channels: usize) -> Self {
        Self {
            readers: (0..channels).map(|_| Reader::default()).collect(),
            liveness: Liveness::new(now),
            is_synced: false,
            owes_sync: true,
            owes_pong: None,
            owes_go_away: false,
            has_heard_go_away: false,
            close: None,
            is_closed: false,
        }
    }

    fn takes_messages(&self) -> bool {
        self.is_synced && self.close.is_none() && !self.is_closed
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("nonce", &self.nonce)
            .field("peer", &self.peer)
            .field("attached", &self.is_attached())
            .finish_non_exhaustive()
    }
}
