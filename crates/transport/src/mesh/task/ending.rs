//! How a peer's task ends: drained or removed.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::PeerTask;
use crate::linking::Outcome;
use crate::mesh::converse::LAST_WORDS;
use crate::mesh::drain::Farewell;
use crate::mesh::waiters::lock;
use crate::session::{CloseCode, Session};
use crate::time::Instant;

/// The way to the task's end.
#[derive(Default)]
pub(super) enum Ending {
    /// Not in sight.
    #[default]
    No,
    /// Everything must be acknowledged first, unless there is no link until the given time.
    Draining(Farewell, Option<Instant>),
    /// All of ours is acknowledged and CLOSE is said. The peer may be draining, too: it is heard
    /// and acknowledged until it closes, or sends nothing until the given time.
    Drained(oneshot::Sender<Infallible>, Instant),
    /// The CLOSE frame must be written, until the given time.
    Removed(Instant),
    /// The link must be closed. A drain waits for what is dropped here.
    Leaving(Option<oneshot::Sender<Infallible>>),
}

impl Ending {
    pub(super) fn needs_link(&self) -> bool {
        matches!(self, Self::No | Self::Draining(..))
    }

    pub(super) fn hears(&self) -> bool {
        self.needs_link() || self.is_drained()
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Self::Draining(..))
    }

    pub(super) fn is_drained(&self) -> bool {
        matches!(self, Self::Drained(..))
    }

    /// The peer has sent messages: it may have more.
    pub(super) fn heard_messages(&mut self, now: Instant) {
        if let Self::Drained(_, until) = self {
            *until = now + LAST_WORDS;
        }
    }
}

impl PeerTask {
    /// What waits for a peer without a link may go at once if the peer is found not to run, and
    /// need not wait for longer than a peer may be silent.
    pub(super) fn begin_drain(&mut self, farewell: Farewell, now: Instant, session: &mut Session) {
        session.go_away();
        self.has_lost_sent = false;
        let until = self.live.is_none().then(|| now + self.mesh.config.timing.silence);
        if until.is_some() {
            self.dialer.hurry(now);
        }
        self.ending = Ending::Draining(farewell, until);
    }

    /// There is a link, or there is none any more.
    pub(super) fn reset_patience(&mut self, ends: Option<Instant>) {
        if let Ending::Draining(_, until) = &mut self.ending {
            *until = ends;
        }
    }

    /// Nobody listens at the addresses of a peer that was there: what it had of the session is gone
    /// with its process.
    pub(super) fn peer_is_gone(&mut self, now: Instant) {
        let has_met = lock(&self.peer.view).links > 0;
        if has_met {
            self.reset_patience(Some(now));
        }
    }

    pub(super) fn begin_removal(&mut self, now: Instant, session: &mut Session) {
        session.close(CloseCode::Removed, "");
        self.attempts.abort_all();
        self.ending = Ending::Removed(now + LAST_WORDS);
    }

    pub(super) fn close_due(&self) -> Option<Instant> {
        match self.ending {
            Ending::Drained(_, until) | Ending::Removed(until) => Some(until),
            Ending::Draining(_, until) => until,
            _ => None,
        }
    }

    /// Goes as far towards the end as possible; ready once it is reached.
    pub(super) fn poll_ending(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
    ) -> Poll<()> {
        loop {
            self.ending = match std::mem::take(&mut self.ending) {
                Ending::Draining(Farewell { delivered, left }, _) if self.is_drained(session) => {
                    // The receiver is gone if the drain was cancelled: nobody needs to know.
                    // Dropped unsent, it says that not everything arrived.
                    let is_complete = !self.has_lost_sent;
                    let _ = Some(delivered).filter(|_| is_complete).map(|done| done.send(()));
                    session.close(CloseCode::Drained, "");
                    cx.waker().wake_by_ref();
                    Ending::Drained(left, now + LAST_WORDS)
                }
                // Dropped unsent, `delivered` says that something is left.
                Ending::Draining(Farewell { left, .. }, Some(until)) if until <= now => {
                    self.attempts.abort_all();
                    Ending::Leaving(Some(left))
                }
                Ending::Drained(left, until) if self.has_parted(session) || until <= now => {
                    self.leave_link(now, session, Outcome::Broke);
                    Ending::Leaving(Some(left))
                }
                Ending::Removed(until) if self.has_said_all(session) || until <= now => {
                    self.leave_link(now, session, Outcome::Broke);
                    Ending::Leaving(None)
                }
                Ending::Leaving(left) => {
                    while !self.leaving.is_empty() {
                        if self.leaving.poll_join_next(cx).is_pending() {
                            self.ending = Ending::Leaving(left);
                            return Poll::Pending;
                        }
                    }
                    return Poll::Ready(());
                }
                not_yet => {
                    self.ending = not_yet;
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_drained(&self, session: &Session) -> bool {
        session.is_drained(&lock(&self.peer.sending).outbox)
    }

    /// Whether the peer has closed, too, and knows that we have.
    fn has_parted(&self, session: &Session) -> bool {
        self.live.is_none() || self.parting.is_some() && self.has_said_all(session)
    }

    fn has_said_all(&self, session: &Session) -> bool {
        self.live.as_ref().is_none_or(|live| session.is_closed() && live.is_written())
    }
}
