//! The task of one peer: one future that owns the link in use and the attempts to get one.
//!
//! One turn: orders and new links, then reading, then time, then writing; again while there is
//! more. Reading comes before time, so that a process that was stalled hears what has arrived
//! before it judges who is silent.

mod ending;
mod flow;
mod links;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::id::SessionNonce;
use crate::lane::Lane;
use crate::linking::{Dialer, Outcome};
use crate::mesh::attempt::Attempt;
use crate::mesh::event::{DownReason, Reported};
use crate::mesh::live_link::LiveLink;
use crate::mesh::peer::{Orders, PeerShared, Target};
use crate::mesh::shared::Shared;
use crate::mesh::task::ending::Ending;
use crate::mesh::waiters::{lock, wake_all};
use crate::session::{CloseCode, Received, Session, Timeout};
use crate::time::Instant;

/// How much later to look again at what could not be done when it was due. A guess.
const OVERDUE: Duration = Duration::from_millis(10);
/// A timer that is this late means that this process did not run.
const STALL: Duration = Duration::from_millis(500);
/// How often idle memory is looked for. Too often costs an allocation each time.
const UPKEEP: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct PeerTask {
    mesh: Arc<Shared>,
    peer: Arc<PeerShared>,
    dialer: Dialer,
    targets: Vec<Target>,
    attempts: JoinSet<Attempt>,
    /// Links that are being closed.
    leaving: JoinSet<()>,
    live: Option<LiveLink>,
    /// `Up` was said, and `Down` not since.
    is_up: bool,
    /// How often dialing was put off since the last link, and how many links the mesh had
    /// made then.
    ways_given: u32,
    seen_completed: u64,
    /// When `Down` is due, if no link comes up before.
    down_at: Option<Instant>,
    /// After the peer broke the protocol: no link with it before this time.
    shunned_until: Option<Instant>,
    upkeep_at: Instant,
    reported: Reported,
    ending: Ending,
    /// The peer has drained and closed the link in use, and only listens while this end drains.
    parting: Option<DownReason>,
    timer: Pin<Box<Sleep>>,
    armed: Option<Instant>,
    received: Received,
    woken: Vec<Waker>,
    /// Messages sent were lost since this peer began to drain, or at any time before.
    has_lost_sent: bool,
}

impl Future for PeerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        let peer = task.peer.clone();
        peer.driver.register(cx.waker());
        let mut session = lock(&peer.session);
        let now = task.mesh.clock.now();
        let has_more = task.turn(cx, now, &mut session);
        let ending = task.poll_ending(cx, now, &mut session);
        drop(session);
        wake_all(&mut task.woken);
        if ending.is_ready() {
            return Poll::Ready(());
        }
        if has_more {
            yield_turn(cx);
        }
        Poll::Pending
    }
}

/// Asks for another turn, after the runtime has looked at its timers and sockets. Waking at once
/// would let a busy link keep all else on this thread waiting for dozens of turns.
fn yield_turn(cx: &mut Context<'_>) {
    let yielding = pin!(tokio::task::yield_now());
    assert!(yielding.poll(cx).is_pending(), "to yield is to be polled again");
}

impl PeerTask {
    pub(crate) fn new(mesh: Arc<Shared>, peer: Arc<PeerShared>) -> Self {
        let dialer = Dialer::new(mesh.config.dialing, mesh.config.node < peer.node);
        Self {
            dialer,
            targets: Vec::new(),
            attempts: JoinSet::new(),
            leaving: JoinSet::new(),
            live: None,
            is_up: false,
            ways_given: 0,
            seen_completed: 0,
            down_at: None,
            shunned_until: None,
            upkeep_at: Instant::default(),
            reported: Reported::default(),
            ending: Ending::default(),
            parting: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: Some(Instant::default()),
            received: Received::default(),
            woken: Vec::new(),
            has_lost_sent: false,
            mesh,
            peer,
        }
    }

    /// Returns whether there is more to do at once.
    fn turn(&mut self, cx: &mut Context<'_>, now: Instant, session: &mut Session) -> bool {
        if let Some(orders) = self.peer.take_orders() {
            self.obey(orders, now, session);
        }
        self.poll_attempts(cx, now, session);
        self.grant_credit(session);
        let mut has_more = self.poll_read(cx, now, session);
        has_more |= self.poll_time(now, session);
        has_more |= self.poll_write(cx, now, session);
        self.poll_timer(cx, now, session);
        has_more
    }

    fn obey(&mut self, orders: Orders, now: Instant, session: &mut Session) {
        if let Some(targets) = orders.targets {
            self.attempts = JoinSet::new();
            self.targets = targets;
            self.dialer.readdress(now, self.targets.len(), fastrand::f64());
            if self.live.is_some() {
                self.dialer.rest();
            }
        }
        for candidate in orders.links {
            self.consider(candidate, now, session);
        }
        if orders.end_session {
            self.end_session(now, session, CloseCode::SessionEnded);
        }
        self.send_datagrams(orders.datagrams);
        if let Some(farewell) = orders.drain {
            self.begin_drain(farewell, now, session);
        }
        if orders.remove {
            self.begin_removal(now, session);
        }
    }

    fn grant_credit(&mut self, session: &mut Session) {
        for index in 0..self.peer.counters.len() {
            let lane = lane(index);
            if let Some(bytes) = self.peer.credit.take_due(lane) {
                session.consumed(lane, bytes);
            }
        }
    }

    /// Does what is due now: dialing, silence, the end of a session. Returns whether another turn
    /// is needed.
    fn poll_time(&mut self, now: Instant, session: &mut Session) -> bool {
        match session.on_timeout(now) {
            Timeout::Nothing => {}
            Timeout::LinkSilent => {
                self.lose_link(now, session, Outcome::Failed);
                self.down(DownReason::Silent);
            }
            Timeout::Expired => self.forget_session(now, session),
        }
        if self.down_at.is_some_and(|at| at <= now) {
            self.down_unless_stalled(now);
        }
        if self.upkeep_at <= now {
            self.keep_up(now);
        }
        self.watch_silence(now, session);
        self.dial(now, session)
    }

    /// The peer had its time. But if nobody looked when it was over, this process did not run, and
    /// the peer gets its time again.
    fn down_unless_stalled(&mut self, now: Instant) {
        let is_stalled = self.down_at.is_some_and(|at| now.since(at) >= STALL);
        if is_stalled {
            self.down_at = Some(now + self.mesh.config.timing.silence);
        } else {
            self.down(DownReason::Silent);
        }
    }

    /// Now and then: returns idle memory, and looks how the link does. Needs no timer of its own:
    /// an idle link sends a PING now and then.
    fn keep_up(&mut self, now: Instant) {
        self.upkeep_at = now + UPKEEP;
        lock(&self.peer.sending).outbox.shrink();
        let Some(live) = &mut self.live else { return };
        let mut view = lock(&self.peer.view);
        view.max_datagram = live.link().max_datagram();
        view.path = live.link().stats();
    }

    /// Looks for another link while the one in use is quiet, and stops when it is not.
    fn watch_silence(&mut self, now: Instant, session: &Session) {
        let Some(quiet_at) = self.quiet_at(now, session) else { return };
        if quiet_at <= now {
            self.dialer.probe(now);
        } else if !self.dialer.is_idle() {
            self.attempts = JoinSet::new();
            self.dialer.rest();
        }
    }

    /// When the link in use has been silent for so long that another one is looked for.
    fn quiet_at(&self, now: Instant, session: &Session) -> Option<Instant> {
        self.live.as_ref().filter(|_| !self.targets.is_empty())?;
        let half = self.mesh.config.timing.silence / 2;
        Some(now + half.saturating_sub(session.silence(now)))
    }

    /// Arms the timer for whatever is due next.
    ///
    /// It is moved only when something is due before it fires: firing too early costs less than
    /// moving it with every frame. What is due already could not be done in this turn, since the
    /// link takes no more: it is looked at again a little later.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant, session: &Session) {
        let quiet_at = self.quiet_at(now, session).filter(|_| self.dialer.is_idle());
        let due = [session.deadline(), self.dial_due(), self.down_at, self.close_due(), quiet_at];
        let Some(due) = due.into_iter().flatten().min() else { return };
        let due = due.max(now + OVERDUE);
        if self.armed.is_none_or(|armed| due < armed) {
            self.arm(due);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.arm(due);
            if self.timer.as_mut().poll(cx).is_ready() {
                self.armed = None;
                cx.waker().wake_by_ref();
            }
        }
    }

    fn arm(&mut self, due: Instant) {
        self.timer.as_mut().reset(self.mesh.clock.to_tokio(due));
        self.armed = Some(due);
    }
}

pub(crate) fn fresh_nonce() -> SessionNonce {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system's random numbers never run out");
    SessionNonce(u64::from_le_bytes(bytes))
}

fn lane(index: usize) -> Lane {
    Lane(u8::try_from(index).expect("there are at most 8 lanes"))
}
