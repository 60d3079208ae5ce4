//! How a peer's task ends: drained or removed.

use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::PeerTask;
use crate::mesh::converse::LAST_WORDS;
use crate::mesh::dialer::Outcome;
use crate::mesh::waiters::lock;
use crate::session::{CloseCode, Session};
use crate::time::Instant;

/// The way to the task's end.
#[derive(Default)]
pub(super) enum Ending {
    /// Not in sight.
    #[default]
    No,
    /// Everything must be acknowledged first.
    Draining(oneshot::Sender<()>),
    /// The CLOSE frame must be written, until the given time.
    Closing(Option<oneshot::Sender<()>>, Instant),
    /// The link must be closed.
    Leaving(Option<oneshot::Sender<()>>),
}

impl Ending {
    pub(super) fn needs_link(&self) -> bool {
        matches!(self, Self::No | Self::Draining(_))
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Self::Draining(_))
    }
}

impl PeerTask {
    pub(super) fn begin_drain(&mut self, done: oneshot::Sender<()>, session: &mut Session) {
        session.go_away();
        self.has_lost_sent = false;
        self.ending = Ending::Draining(done);
    }

    pub(super) fn begin_removal(&mut self, now: Instant, session: &mut Session) {
        session.close(CloseCode::Removed, "");
        self.attempts.abort_all();
        self.ending = Ending::Closing(None, now + LAST_WORDS);
    }

    pub(super) fn close_due(&self) -> Option<Instant> {
        match self.ending {
            Ending::Closing(_, at) => Some(at),
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
                Ending::Draining(done) if self.is_drained(session) => {
                    session.close(CloseCode::Drained, "");
                    cx.waker().wake_by_ref();
                    Ending::Closing(Some(done), now + LAST_WORDS)
                }
                Ending::Closing(done, until) if self.has_said_all(session) || until <= now => {
                    self.leave_link(now, session, Outcome::Broke);
                    Ending::Leaving(done)
                }
                Ending::Leaving(done) => {
                    while !self.leaving.is_empty() {
                        if self.leaving.poll_join_next(cx).is_pending() {
                            self.ending = Ending::Leaving(done);
                            return Poll::Pending;
                        }
                    }
                    // The receiver is gone if the drain was cancelled: nobody needs to know.
                    // Dropped unsent, it says that not everything arrived.
                    let is_complete = !self.has_lost_sent;
                    let _ = done.filter(|_| is_complete).map(|done| done.send(()));
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

    fn has_said_all(&self, session: &Session) -> bool {
        self.live.as_ref().is_none_or(|live| session.is_closed() && live.is_written())
    }
}
