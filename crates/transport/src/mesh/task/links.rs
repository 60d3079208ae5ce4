//! Getting links: dialing, arbitration, attaching.

use std::io::IoSliceMut;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinSet;

use super::PeerTask;
use crate::handshake::RejectCode;
use crate::id::Incarnation;
use crate::linking::{Decision, DialedBy, Outcome, decide};
use crate::mesh::attempt::{self, Attempt, Candidate};
use crate::mesh::converse;
use crate::mesh::event::{DownReason, LinkError, PeerEvent};
use crate::mesh::live_link::LiveLink;
use crate::mesh::status::PeerState;
use crate::mesh::waiters::lock;
use crate::session::{Attached, CloseCode, Received, Session, Violation};
use crate::time::Instant;
use crate::transport::{Link, LinkStats};

/// How often dialing is put off, by [`Dialing::grace`](crate::mesh::Dialing::grace) each time. A
/// guess: together about the time that 64 nodes on one core need to meet.
const MAX_WAYS_GIVEN: u32 = 8;

impl PeerTask {
    /// Starts the attempts that are due; returns whether it started one, which is then to be
    /// polled.
    pub(super) fn dial(&mut self, now: Instant, session: &Session) -> bool {
        if !self.ending.needs_link() || self.gives_way(now) {
            return false;
        }
        let mut has_started = false;
        while let Some(index) = self.dialer.start(now) {
            let target = self.targets[index].clone();
            let (mesh, peer) = (self.mesh.clone(), self.peer.clone());
            self.attempts.spawn(attempt::dial(mesh, peer, target, session.nonce()));
            has_started = true;
        }
        has_started
    }

    pub(super) fn dial_due(&self) -> Option<Instant> {
        self.dialer.due().filter(|_| self.ending.needs_link())
    }

    /// Waits a little while the peer itself is coming in, or, as the smaller node, while the mesh
    /// is busy meeting others: all nodes are then, and the peer's turn to dial may be the next.
    /// But not while a link is quiet: that one may soon be gone.
    ///
    /// Not more than a few times until there is a link: whoever says that it is the peer has not
    /// proven it yet, and must not keep us from dialing.
    fn gives_way(&mut self, now: Instant) -> bool {
        let is_due = self.dialer.due().is_some_and(|due| due <= now);
        if !is_due || self.live.is_some() || self.ways_given == MAX_WAYS_GIVEN {
            return false;
        }
        let completed = self.mesh.handshakes.completed();
        let has_met = std::mem::replace(&mut self.seen_completed, completed) != completed;
        let is_mesh_busy = has_met || self.mesh.is_meeting();
        let is_coming = self.peer.arriving.load(Ordering::Acquire) > 0;
        let gives_way = is_coming || self.dialer.yields() && is_mesh_busy;
        if gives_way {
            self.ways_given += 1;
            self.dialer.postpone(now, fastrand::f64());
        }
        gives_way
    }

    pub(super) fn poll_attempts(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
    ) {
        while let Poll::Ready(Some(ended)) = self.attempts.poll_join_next(cx) {
            // An attempt that was aborted has no result.
            let Ok(Attempt { address, result }) = ended else { continue };
            match result {
                Some(Ok(candidate)) => self.consider(candidate, now, session),
                Some(Err(error)) => self.attempt_failed(&address, error, now),
                None => {}
            }
        }
    }

    fn attempt_failed(&mut self, address: &str, error: LinkError, now: Instant) {
        if self.live.is_some() && self.dialer.is_idle() {
            return;
        }
        if error.is_lost_tie() {
            self.attempts = JoinSet::new();
            self.dialer.lost_tie(now, fastrand::f64());
            return;
        }
        let is_refusal = error.is_refusal();
        self.report(address, error);
        if self.dialer.failed(now, is_refusal, fastrand::f64()) && self.live.is_none() {
            self.down(DownReason::Refused);
            self.peer_is_gone(now);
        }
    }

    pub(super) fn report(&mut self, address: &str, error: LinkError) {
        if self.reported.is_news(address, &error) {
            let (peer, address) = (Some(self.peer.node), address.to_owned());
            self.mesh.events.push(PeerEvent::Refused { peer, address, error });
        }
    }

    /// Decides about a link whose handshake is done.
    pub(super) fn consider(&mut self, new: Candidate, now: Instant, session: &mut Session) {
        let situation = self.mesh.situation(&self.peer, session, &new.hello, new.dialer);
        match decide(&situation, session, new.nonce, &new.hello) {
            _ if !self.ending.needs_link() => self.turn_away(new, RejectCode::Draining),
            _ if self.shunned_until.is_some_and(|until| now < until) => {
                self.turn_away(new, RejectCode::Busy);
            }
            Decision::TurnAway(code) => self.turn_away(new, code),
            Decision::EndSession => {
                self.end_session(now, session, CloseCode::SessionEnded);
                self.turn_away(new, RejectCode::Duplicate);
            }
            Decision::Attach(restarted) => self.attach(new, restarted, now, session),
        }
    }

    fn turn_away(&mut self, new: Candidate, code: RejectCode) {
        while self.leaving.try_join_next().is_some() {}
        match new.dialer {
            DialedBy::Peer => drop(self.leaving.spawn(converse::reject(new.link, code))),
            DialedBy::Us if self.live.is_none() => {
                self.dialer.lost_tie(self.mesh.clock.now(), fastrand::f64());
            }
            DialedBy::Us => self.dialer.discarded(),
        }
    }

    fn attach(
        &mut self,
        new: Candidate,
        restarted: Option<Incarnation>,
        now: Instant,
        session: &mut Session,
    ) {
        // Without a word the peer would take the old link's end for a break, and dial once more.
        session.close(CloseCode::Replaced, "");
        self.leave_link(now, session, Outcome::Broke);
        self.parting = None;
        let attached = {
            let mut sending = lock(&self.peer.sending);
            session.attach(now, new.link.channels(), &new.hello, &mut sending.outbox)
        };
        if self.ending.is_draining() {
            session.go_away();
            self.reset_patience(None);
        }
        self.settle_dialing(new.dialer);
        self.ways_given = 0;
        self.down_at = None;
        self.show_link(&*new.link, &new, attached.resumed, now);
        for &(lane, messages) in &attached.oversized {
            let dropped = &self.peer.counters[lane.index()].dropped_messages;
            dropped.fetch_add(messages, Ordering::Relaxed);
            self.mesh.events.push(PeerEvent::Oversized { peer: self.peer.node, lane, messages });
        }
        self.say_attached(&new, restarted, attached);
        let fed = feed(session, now, &new.first, &mut self.received);
        self.live = Some(LiveLink::new(new, now));
        if let Err(violation) = fed {
            self.violated(violation, now, session);
        }
    }

    /// There is a link: nothing more is dialed. But where the peer's link came first and this node
    /// is the greater, an attempt that is under way goes on. The peer may have accepted it
    /// already and given up its own for it, so that to give up both would leave none.
    fn settle_dialing(&mut self, winner: DialedBy) {
        let is_smaller = self.mesh.config.node < self.peer.node;
        if winner == DialedBy::Us || is_smaller {
            self.attempts = JoinSet::new();
        }
        self.dialer.attached(winner);
    }

    fn show_link(&self, link: &dyn Link, new: &Candidate, resumed: bool, now: Instant) {
        let mut view = lock(&self.peer.view);
        view.state = PeerState::Up;
        view.incarnation = Some(new.hello.incarnation);
        view.transport = Some(new.transport);
        view.rival = Some((new.dialer, now));
        view.max_datagram = link.max_datagram();
        view.links += 1;
        view.sessions += u64::from(!resumed);
    }

    fn say_attached(
        &mut self,
        new: &Candidate,
        restarted: Option<Incarnation>,
        attached: Attached,
    ) {
        let (peer, incarnation) = (self.peer.node, new.hello.incarnation);
        if let Some(old) = restarted {
            self.mesh.events.push(PeerEvent::Restarted { peer, old, new: incarnation });
        }
        self.say_lost(attached.lost);
        let was_up = std::mem::replace(&mut self.is_up, true);
        if !was_up || !attached.resumed {
            let (resumed, transport) = (attached.resumed, new.transport);
            self.mesh.events.push(PeerEvent::Up { peer, incarnation, resumed, transport });
        }
    }

    /// The link is gone; the session stays, unless the peer had closed it.
    pub(super) fn lose_link(&mut self, now: Instant, session: &mut Session, outcome: Outcome) {
        let Some(live) = self.live.take() else { return };
        self.unlinked(live.since, now, session, outcome);
        if let Some(reason) = self.parting.take() {
            self.forget_session(now, session);
            self.down(reason);
        }
    }

    /// The link that was attached `since` is gone. Returns the delay before the next one.
    pub(super) fn unlinked(
        &mut self,
        since: Instant,
        now: Instant,
        session: &mut Session,
        outcome: Outcome,
    ) -> Duration {
        session.detach(now);
        self.seen_completed = self.mesh.handshakes.completed();
        let age = now.since(since);
        if age >= self.mesh.config.dialing.stable_after {
            self.reported.clear();
            self.shunned_until = None;
        }
        let patience = now + self.mesh.config.timing.silence;
        self.down_at = self.is_up.then_some(patience);
        self.reset_patience(Some(patience));
        let mut view = lock(&self.peer.view);
        view.transport = None;
        view.rival = None;
        view.max_datagram = None;
        view.path = LinkStats::default();
        if self.is_up {
            view.state = PeerState::Relinking;
        }
        self.dialer.detached(now, age, outcome, fastrand::f64())
    }

    /// Says `Down`, unless it was said already.
    pub(super) fn down(&mut self, reason: DownReason) {
        self.down_at = None;
        if std::mem::take(&mut self.is_up) {
            lock(&self.peer.view).state = PeerState::Down;
            self.mesh.events.push(PeerEvent::Down { peer: self.peer.node, reason });
        }
    }
}

/// Gives bytes to the session that were read before it was attached.
fn feed(
    session: &mut Session,
    now: Instant,
    bytes: &[u8],
    out: &mut Received,
) -> Result<(), Violation> {
    if bytes.is_empty() {
        return Ok(());
    }
    let copy = |slots: &mut [IoSliceMut<'_>]| slots[0][..bytes.len()].copy_from_slice(bytes);
    session.with_slots(0, copy);
    session.on_read(now, 0, bytes.len(), out)
}
