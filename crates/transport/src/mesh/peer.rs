//! One peer: what its task, its producers and its watchers share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::address::Address;
use crate::id::{Incarnation, NodeId};
use crate::lane::{Lane, LaneConfig, LaneSet};
use crate::linking::DialedBy;
use crate::mesh::attempt::Candidate;
use crate::mesh::drain::Farewell;
use crate::mesh::event::{Events, PeerEvent};
use crate::mesh::inbox::{Credit, Source};
use crate::mesh::status::{LaneStatus, PeerState, PeerStatus};
use crate::mesh::task_waker::TaskWaker;
use crate::mesh::waiters::{Awaited, Waiters, lock, wait_for, wake_all};
use crate::outbox::{Accepted, Outbox, Refusal};
use crate::session::Session;
use crate::time::Instant;
use crate::transport::{LinkStats, Transport};

/// A handle to one peer; clones are cheap.
///
/// Messages may be sent whether the peer is connected or not: they wait in the lane's queue.
#[derive(Clone)]
pub struct Peer {
    pub(crate) shared: Arc<PeerShared>,
}

/// Why a message was not accepted. It was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The lane's queue is full: the peer is slower than its senders, or away.
    #[error("the queue of {0} is full: wait for room, or send less")]
    Full(Lane),
    /// The message is longer than this side or the peer allows on the lane.
    #[error("the message is longer than the {limit} bytes that {lane} allows")]
    TooLarge {
        /// The lane.
        lane: Lane,
        /// Bytes allowed.
        limit: usize,
    },
    /// The mesh was not configured with such a lane.
    #[error("there is no {0}")]
    UnknownLane(Lane),
    /// The peer was removed, or the mesh drains or is gone.
    #[error("the peer was removed, or the mesh is closing")]
    Closed,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// There is no link at the moment.
    #[error("the peer is not connected")]
    NotConnected,
    /// The link's transport has no datagrams.
    #[error("{0} has no datagrams: use quic, or a lane")]
    Unsupported(&'static str),
    /// The link takes only smaller ones.
    #[error("the datagram is longer than the {limit} bytes that the link takes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The peer was removed, or the mesh drains or is gone.
    #[error("the peer was removed, or the mesh is closing")]
    Closed,
}

impl Peer {
    /// The peer's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// Queues a copy of `message`, without waiting.
    ///
    /// Where the lane's policy drops messages instead of refusing them, this is `Ok` as well.
    ///
    /// # Errors
    /// See [`SendError`]. [`SendError::Full`] also raises [`PeerEvent::SlowPeer`].
    #[inline]
    pub fn try_send(&self, lane: Lane, message: &[u8]) -> Result<(), SendError> {
        let result = lock(&self.shared.sending).outbox.push(lane, message);
        self.shared.settle(lane, result)
    }

    /// Queues copies of the first of `messages`, as many as there is room for, at the cost of one
    /// lock; returns how many those are. Why the next one was not taken, [`try_send`](Self::try_send)
    /// says of it. The lock is held while `messages` says what is next: that must not use the peer.
    pub fn try_send_run<'a>(
        &self,
        lane: Lane,
        messages: impl IntoIterator<Item = &'a [u8]>,
    ) -> usize {
        let (mut count, mut all, mut is_slow) = (0, Accepted::default(), false);
        {
            let mut sending = lock(&self.shared.sending);
            for message in messages {
                match sending.outbox.push(lane, message) {
                    Ok(accepted) => all = all.and(accepted),
                    Err(refusal) => {
                        is_slow = matches!(refusal, Refusal::Full { slow: true });
                        break;
                    }
                }
                count += 1;
            }
        }
        self.shared.raise_slow(lane, is_slow);
        let accepted = self.shared.settle(lane, Ok(all));
        debug_assert!(accepted.is_ok(), "what was accepted is no error");
        count
    }

    /// Queues `message` without waiting, by reference unless it is small.
    ///
    /// # Errors
    /// As [`Self::try_send`].
    pub fn try_send_bytes(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        let result = lock(&self.shared.sending).outbox.push_bytes(lane, message);
        self.shared.settle(lane, result)
    }

    /// Queues a copy of `message` as soon as there is room. Cancel-safe: dropped before it is
    /// ready, it has queued nothing.
    ///
    /// # Errors
    /// As [`Self::try_send`], but never [`SendError::Full`].
    #[inline]
    pub async fn send(&self, lane: Lane, message: &[u8]) -> Result<(), SendError> {
        let result = lock(&self.shared.sending).outbox.push(lane, message);
        match result {
            Err(Refusal::Full { slow }) => {
                self.shared.raise_slow(lane, slow);
                self.wait_for_room(lane, |outbox| outbox.push(lane, message)).await
            }
            decided => self.shared.settle(lane, decided),
        }
    }

    /// Queues `message` as soon as there is room, by reference unless it is small. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_bytes(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        let result = lock(&self.shared.sending).outbox.push_bytes(lane, message.clone());
        match result {
            Err(Refusal::Full { slow }) => {
                self.shared.raise_slow(lane, slow);
                self.wait_for_room(lane, |outbox| outbox.push_bytes(lane, message.clone())).await
            }
            decided => self.shared.settle(lane, decided),
        }
    }

    /// Sends a datagram, best effort: it may be lost, repeated or overtaken.
    ///
    /// # Errors
    /// If the link cannot take it.
    pub fn datagram(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.shared.queue_datagram(datagram)
    }

    /// What was received from the peer on `lane` so far, at the cost of two loads.
    ///
    /// # Panics
    /// If there is no such lane.
    #[must_use]
    pub fn received(&self, lane: Lane) -> Progress {
        let counters = &self.shared.counters[lane.index()];
        Progress {
            messages: counters.received_messages.load(Ordering::Relaxed),
            bytes: counters.received_bytes.load(Ordering::Relaxed),
        }
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        self.shared.status()
    }

    /// The lane exists: it is full.
    async fn wait_for_room(
        &self,
        lane: Lane,
        mut push: impl FnMut(&mut Outbox) -> Result<Accepted, Refusal>,
    ) -> Result<(), SendError> {
        let attempt = |sending: &mut Sending| match push(&mut sending.outbox) {
            Err(Refusal::Full { .. }) => None,
            decided => Some(decided),
        };
        let result = wait_for(&self.shared.sending, LaneSet::only(lane), attempt).await;
        self.shared.settle(lane, result)
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Peer").field(&self.shared.node).finish()
    }
}

/// What was received on a lane so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages.
    pub messages: u64,
    /// Their bytes, as [`Batch::bytes`](crate::Batch::bytes) counts them.
    pub bytes: u64,
}

/// See the module.
pub(crate) struct PeerShared {
    pub node: NodeId,
    pub lanes: Arc<[LaneConfig]>,
    pub sending: Mutex<Sending>,
    /// Locked by the task for the time of one poll, else by those who look.
    pub session: Mutex<Session>,
    pub driver: Arc<TaskWaker>,
    pub credit: Arc<Credit>,
    pub source: Source,
    pub counters: Vec<LaneCounters>,
    pub view: Mutex<View>,
    pub orders: Mutex<Orders>,
    pub has_orders: AtomicBool,
    /// Inbound handshakes of this peer under way: meanwhile it is not dialed.
    pub arriving: Arc<AtomicUsize>,
    pub dropped_datagrams: AtomicU64,
    pub max_datagrams: usize,
    pub events: Arc<Events>,
}

/// What producers touch.
pub(crate) struct Sending {
    pub outbox: Outbox,
    pub waiters: Waiters,
}

impl Awaited for Sending {
    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }
}

/// What the session does not count, per lane.
#[derive(Debug, Default)]
pub(crate) struct LaneCounters {
    pub received_messages: AtomicU64,
    pub received_bytes: AtomicU64,
    pub dropped_messages: AtomicU64,
    pub refused_messages: AtomicU64,
}

/// What the task lets others see.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub state: PeerState,
    pub incarnation: Option<Incarnation>,
    pub transport: Option<&'static str>,
    /// Who dialed the link in use, and when it was attached.
    pub rival: Option<(DialedBy, Instant)>,
    pub max_datagram: Option<usize>,
    pub path: LinkStats,
    pub links: u64,
    pub sessions: u64,
    pub violations: u64,
}

/// What others want the task to do.
#[derive(Default)]
pub(crate) struct Orders {
    /// Dial these from now on.
    pub targets: Option<Vec<Target>>,
    /// Links that came in and finished their handshake.
    pub links: Vec<Candidate>,
    pub datagrams: VecDeque<Bytes>,
    /// A lane's policy ends the session.
    pub end_session: bool,
    /// Finish, and say so here.
    pub drain: Option<Farewell>,
    /// Say goodbye and end.
    pub remove: bool,
}

/// An address, and what dials it.
#[derive(Clone)]
pub(crate) struct Target {
    pub address: Address,
    pub transport: Arc<dyn Transport>,
}

impl PeerShared {
    /// Leaves something for the task, and wakes it.
    pub(crate) fn order<R>(&self, change: impl FnOnce(&mut Orders) -> R) -> R {
        let result = change(&mut lock(&self.orders));
        self.has_orders.store(true, Ordering::Release);
        self.driver.wake();
        result
    }

    /// What was left for the task.
    pub(crate) fn take_orders(&self) -> Option<Orders> {
        let has_orders = self.has_orders.swap(false, Ordering::Acquire);
        has_orders.then(|| std::mem::take(&mut *lock(&self.orders)))
    }

    /// Refuses all further messages, and tells those who wait for room.
    pub(crate) fn close(&self) {
        let mut woken = Vec::new();
        {
            let mut sending = lock(&self.sending);
            sending.outbox.close();
            sending.waiters.take(LaneSet::ALL, &mut woken);
        }
        wake_all(&mut woken);
    }

    #[inline]
    fn settle(&self, lane: Lane, result: Result<Accepted, Refusal>) -> Result<(), SendError> {
        const PLAIN: Accepted =
            Accepted { wake: false, dropped: 0, slow: false, end_session: false };
        match result {
            Ok(PLAIN) => Ok(()),
            Ok(Accepted { wake: true, dropped: 0, slow: false, end_session: false }) => {
                self.driver.wake();
                Ok(())
            }
            other => self.settle_overflow(lane, other),
        }
    }

    #[cold]
    fn settle_overflow(
        &self,
        lane: Lane,
        result: Result<Accepted, Refusal>,
    ) -> Result<(), SendError> {
        match result {
            Ok(accepted) => {
                let dropped = &self.counters[lane.index()].dropped_messages;
                dropped.fetch_add(accepted.dropped, Ordering::Relaxed);
                self.raise_slow(lane, accepted.slow);
                if accepted.end_session {
                    self.order(|orders| orders.end_session = true);
                } else if accepted.wake {
                    self.driver.wake();
                }
                Ok(())
            }
            Err(Refusal::Full { slow }) => {
                self.counters[lane.index()].refused_messages.fetch_add(1, Ordering::Relaxed);
                self.raise_slow(lane, slow);
                Err(SendError::Full(lane))
            }
            Err(Refusal::TooLarge { limit }) => Err(SendError::TooLarge { lane, limit }),
            Err(Refusal::UnknownLane) => Err(SendError::UnknownLane(lane)),
            Err(Refusal::Closed) => Err(SendError::Closed),
        }
    }

    fn raise_slow(&self, lane: Lane, is_slow: bool) {
        if is_slow {
            self.events.push(PeerEvent::SlowPeer { peer: self.node, lane });
        }
    }

    fn queue_datagram(&self, datagram: Bytes) -> Result<(), DatagramError> {
        {
            let view = lock(&self.view);
            let transport = view.transport.ok_or(DatagramError::NotConnected)?;
            let limit = view.max_datagram.ok_or(DatagramError::Unsupported(transport))?;
            if datagram.len() > limit {
                return Err(DatagramError::TooLarge { limit });
            }
        }
        let is_over = self.order(|orders| {
            orders.datagrams.push_back(datagram);
            let is_over = orders.datagrams.len() > self.max_datagrams;
            if is_over {
                orders.datagrams.pop_front();
            }
            is_over
        });
        self.dropped_datagrams.fetch_add(u64::from(is_over), Ordering::Relaxed);
        Ok(())
    }

    fn status(&self) -> PeerStatus {
        let session = lock(&self.session).stats();
        let lanes =
            (0..self.lanes.len()).map(|index| self.lane_status(index, &session.lanes[index]));
        let lanes = lanes.collect();
        let view = lock(&self.view);
        PeerStatus {
            node: self.node,
            state: view.state,
            incarnation: view.incarnation,
            transport: view.transport,
            rtt_us: session.rtt.map(micros),
            path_rtt_us: view.path.rtt_us,
            retransmits: view.path.retransmits,
            congestion_window: view.path.congestion_window,
            reconnects: view.links.saturating_sub(1),
            sessions: view.sessions,
            violations: view.violations,
            stalled_us: micros(session.stalled),
            dropped_datagrams: self.dropped_datagrams.load(Ordering::Relaxed),
            lanes,
        }
    }

    fn lane_status(&self, index: usize, stats: &crate::session::LaneStats) -> LaneStatus {
        let counters = &self.counters[index];
        let lane = Lane(u8::try_from(index).expect("there are at most 8 lanes"));
        let backlog = lock(&self.sending).outbox.backlog(lane);
        LaneStatus {
            name: self.lanes[index].name,
            sent_messages: stats.sent_messages,
            sent_bytes: stats.sent_bytes,
            sent_frames: stats.sent_frames,
            received_messages: stats.received_messages,
            received_bytes: stats.received_bytes,
            replayed_frames: stats.replayed_frames,
            duplicate_frames: stats.duplicate_frames,
            lost_messages: stats.lost_messages,
            dropped_messages: counters.dropped_messages.load(Ordering::Relaxed),
            refused_messages: counters.refused_messages.load(Ordering::Relaxed),
            credit_stalls: stats.credit_stalls,
            replay_stalls: stats.replay_stalls,
            queued_bytes: backlog.bytes as u64,
            queued_messages: backlog.messages,
            unacked_bytes: stats.unacked_bytes as u64,
            held_bytes: stats.held_bytes as u64,
        }
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
