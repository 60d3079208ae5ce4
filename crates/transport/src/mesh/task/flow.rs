//! What flows over the link in use.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{PeerTask, fresh_nonce};
use crate::linking::Outcome;
use crate::mesh::converse;
use crate::mesh::event::{DownReason, LinkError, PeerEvent};
use crate::mesh::live_link::Broken;
use crate::mesh::waiters::lock;
use crate::session::{CloseCode, Direction, Lost, Session, Signal, Violation};
use crate::time::Instant;

/// Datagrams taken per turn.
const DATAGRAM_BURST: usize = 64;

impl PeerTask {
    /// Reads; returns whether another turn is needed.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
    ) -> bool {
        let Some(live) = self.live.as_mut().filter(|_| self.ending.hears()) else {
            return false;
        };
        let read = live.poll_read(cx, now, session, &mut self.received);
        let has_more_datagrams = self.poll_datagrams(cx);
        self.deliver(now);
        for signal in std::mem::take(&mut self.received.signals) {
            self.on_signal(signal, now, session);
        }
        self.settle(read, now, session) | has_more_datagrams
    }

    fn poll_datagrams(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(live) = &mut self.live else { return false };
        for _ in 0..DATAGRAM_BURST {
            let Poll::Ready(Ok(datagram)) = live.link().poll_datagram(cx) else { return false };
            let is_over = self.mesh.datagrams.push(self.peer.node, datagram);
            self.peer.dropped_datagrams.fetch_add(u64::from(is_over), Ordering::Relaxed);
        }
        true
    }

    /// Writes; returns whether another turn is needed.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
    ) -> bool {
        let Some(live) = &mut self.live else { return false };
        let written = live.poll_write(cx, now, session, &self.peer.sending, &mut self.woken);
        self.settle(written, now, session)
    }

    fn settle(
        &mut self,
        result: Result<bool, Broken>,
        now: Instant,
        session: &mut Session,
    ) -> bool {
        match result {
            Ok(has_more) => has_more,
            Err(Broken::Link) => {
                self.lose_link(now, session, Outcome::Broke);
                true
            }
            Err(Broken::Violation(violation)) => {
                self.violated(violation, now, session);
                true
            }
        }
    }

    /// Hands what was received to the application.
    fn deliver(&mut self, now: Instant) {
        if !self.received.batches.is_empty() {
            self.ending.heard_messages(now);
        }
        for batch in &self.received.batches {
            let counters = &self.peer.counters[batch.lane().index()];
            counters.received_messages.fetch_add(batch.count(), Ordering::Relaxed);
            counters.received_bytes.fetch_add(batch.bytes() as u64, Ordering::Relaxed);
        }
        self.peer.source.push(&mut self.received.batches, &mut self.woken);
    }

    fn on_signal(&mut self, signal: Signal, now: Instant, session: &mut Session) {
        match signal {
            Signal::Synced => {}
            Signal::Lost(lost) => self.say_lost(vec![lost]),
            Signal::GoAway => {
                self.mesh.events.push(PeerEvent::GoingAway { peer: self.peer.node });
            }
            Signal::Closed { code, reason } => self.on_closed(code, reason, now, session),
        }
    }

    fn on_closed(&mut self, code: CloseCode, reason: String, now: Instant, session: &mut Session) {
        match code {
            CloseCode::Replaced => self.lose_link(now, session, Outcome::Replaced),
            CloseCode::SessionEnded => {
                self.lose_link(now, session, Outcome::Broke);
                self.forget_session(now, session);
            }
            // What this end has for the peer is still heard.
            CloseCode::Drained if self.ending.is_draining() || self.ending.is_drained() => {
                self.parting = Some(DownReason::Closed { code, reason });
            }
            CloseCode::Drained | CloseCode::Removed => {
                self.parting = Some(DownReason::Closed { code, reason });
                self.lose_link(now, session, Outcome::Failed);
            }
            CloseCode::Violation | CloseCode::Other(_) => {
                if let Some(address) = self.live.as_ref().map(|live| live.address.clone()) {
                    self.report(&address, LinkError::Accused(reason));
                }
                self.lose_link(now, session, Outcome::Failed);
            }
        }
    }

    /// The peer broke the protocol: tells it, closes the link, and has nothing to do with it for a
    /// while that grows from time to time.
    pub(super) fn violated(&mut self, violation: Violation, now: Instant, session: &mut Session) {
        lock(&self.peer.view).violations += 1;
        session.close(CloseCode::Violation, &violation.to_string());
        if let Some(address) = self.live.as_ref().map(|live| live.address.clone()) {
            self.report(&address, violation.into());
        }
        self.shunned_until =
            self.leave_link(now, session, Outcome::Failed).map(|delay| now + delay);
    }

    /// Ends the session, for the reason that `code` tells the peer.
    pub(super) fn end_session(&mut self, now: Instant, session: &mut Session, code: CloseCode) {
        session.close(code, "");
        self.leave_link(now, session, Outcome::Broke);
        self.forget_session(now, session);
    }

    /// The session is over. Attempts that are under way speak of it, and would make the peer begin
    /// one that nobody wants.
    pub(super) fn forget_session(&mut self, now: Instant, session: &mut Session) {
        let lost = session.end(fresh_nonce());
        self.say_lost(lost);
        self.attempts = JoinSet::new();
        self.dialer.restart(now);
    }

    /// Lets the link go, with what is written and the CLOSE frame as its last words. Returns the
    /// delay before the next one.
    pub(super) fn leave_link(
        &mut self,
        now: Instant,
        session: &mut Session,
        outcome: Outcome,
    ) -> Option<Duration> {
        while self.leaving.try_join_next().is_some() {}
        let live = self.live.take()?;
        let since = live.since;
        let (link, queue) = live.into_remains(now, session, &self.peer.sending);
        self.leaving.spawn(converse::leave(link, queue));
        Some(self.unlinked(since, now, session, outcome))
    }

    pub(super) fn say_lost(&mut self, lost: Vec<Lost>) {
        for Lost { lane, from, to, direction } in lost {
            self.has_lost_sent |= direction == Direction::Sent;
            let peer = self.peer.node;
            self.mesh.events.push(PeerEvent::Lost { peer, lane, from, to, direction });
        }
    }

    pub(super) fn send_datagrams(&mut self, datagrams: VecDeque<Bytes>) {
        for datagram in datagrams {
            let sent = self.live.as_mut().map(|live| live.link().send_datagram(datagram));
            if !matches!(sent, Some(Ok(()))) {
                self.peer.dropped_datagrams.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
