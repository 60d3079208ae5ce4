//! The link in use: moves bytes between it and the session.

use std::io;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::lane::Lane;
use crate::mesh::attempt::Candidate;
use crate::mesh::peer::Sending;
use crate::mesh::waiters::lock;
use crate::session::{Received, SendQueue, Session, Violation};
use crate::time::Instant;
use crate::transport::Link;

/// Reads and writes per channel and turn: enough to be worth the turn, few enough for the other
/// peers on the same thread, and for control messages against bulk in the other direction.
const BURST: usize = 2;

/// A link that carries the session.
pub(crate) struct LiveLink {
    pub address: String,
    pub since: Instant,
    link: Box<dyn Link>,
    channels: Vec<Channel>,
}

#[derive(Default)]
struct Channel {
    queue: SendQueue,
    is_dirty: bool,
    /// The peer has written all that it will.
    has_ended: bool,
}

/// Why a link cannot be used any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It broke, or the peer closed it.
    Link,
    /// The peer sent what it must not.
    Violation(Violation),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "link broke");
        Self::Link
    }
}

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl LiveLink {
    pub(crate) fn new(candidate: Candidate, since: Instant) -> Self {
        let Candidate { link, address, arriving, .. } = candidate;
        drop(arriving);
        let channels = (0..link.channels()).map(|_| Channel::default()).collect();
        Self { address, since, link, channels }
    }

    /// The link itself, for what is neither reading nor writing.
    pub(crate) fn link(&mut self) -> &mut dyn Link {
        &mut *self.link
    }

    /// Reads what has come into `out`; returns whether there may be more.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
        out: &mut Received,
    ) -> Result<bool, Broken> {
        let mut has_more = false;
        for channel in 0..self.channels.len() {
            has_more |= self.read_burst(cx, now, channel, session, out)?;
        }
        Ok(has_more)
    }

    fn read_burst(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        channel: usize,
        session: &mut Session,
        out: &mut Received,
    ) -> Result<bool, Broken> {
        for _ in 0..BURST {
            if self.channels[channel].has_ended {
                return Ok(false);
            }
            let link = &mut self.link;
            let read = session.with_slots(channel, |slots| link.poll_read(cx, channel, slots));
            let Some(Poll::Ready(count)) = read else { return Ok(false) };
            match count? {
                0 if channel == 0 => return Err(Broken::Link),
                // What ends the link, and why, is said on channel 0, and may come later.
                0 => self.channels[channel].has_ended = true,
                count => session.on_read(now, channel, count, out)?,
            }
            // A control message does not wait for the rest of the burst.
            if out.batches.iter().any(|batch| batch.lane() == Lane::CONTROL) {
                break;
            }
        }
        Ok(true)
    }

    /// Writes what there is to write; returns whether there may be more. Senders to be woken,
    /// since there is room again, are added to `woken`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        session: &mut Session,
        sending: &Mutex<Sending>,
        woken: &mut Vec<Waker>,
    ) -> Result<bool, Broken> {
        let mut has_more = false;
        for (index, channel) in self.channels.iter_mut().enumerate() {
            let fill = |queue: &mut _| fill(now, index, session, sending, queue, woken);
            has_more |= channel.write_burst(cx, index, &mut *self.link, fill)?;
            channel.flush(cx, index, &mut *self.link)?;
        }
        Ok(has_more)
    }

    /// Whether everything was handed to the transport.
    pub(crate) fn is_written(&self) -> bool {
        self.channels.iter().all(|channel| channel.queue.is_empty() && !channel.is_dirty)
    }

    /// Gives up the link and what it has not written of channel 0, with the session's CLOSE frame
    /// behind it if there is one.
    pub(crate) fn into_remains(
        mut self,
        now: Instant,
        session: &mut Session,
        sending: &Mutex<Sending>,
    ) -> (Box<dyn Link>, SendQueue) {
        let mut queue = std::mem::take(&mut self.channels[0].queue);
        let _ = session.poll_transmit(now, 0, &mut lock(sending).outbox, &mut queue);
        (self.link, queue)
    }
}

impl Channel {
    fn write_burst(
        &mut self,
        cx: &mut Context<'_>,
        index: usize,
        link: &mut dyn Link,
        mut fill: impl FnMut(&mut SendQueue),
    ) -> io::Result<bool> {
        for _ in 0..BURST {
            if self.queue.is_empty() {
                fill(&mut self.queue);
            }
            if self.queue.is_empty() {
                return Ok(false);
            }
            let Poll::Ready(written) = link.poll_write(cx, index, &mut self.queue) else {
                return Ok(false);
            };
            written?;
            self.is_dirty = true;
        }
        Ok(true)
    }

    fn flush(&mut self, cx: &mut Context<'_>, index: usize, link: &mut dyn Link) -> io::Result<()> {
        if self.is_dirty
            && let Poll::Ready(flushed) = link.poll_flush(cx, index)
        {
            flushed?;
            self.is_dirty = false;
        }
        Ok(())
    }
}

/// The only place where a peer's task locks what producers touch.
fn fill(
    now: Instant,
    channel: usize,
    session: &mut Session,
    sending: &Mutex<Sending>,
    queue: &mut SendQueue,
    woken: &mut Vec<Waker>,
) {
    let mut sending = lock(sending);
    session.poll_transmit(now, channel, &mut sending.outbox, queue);
    let freed = sending.outbox.take_freed();
    if !freed.is_empty() {
        sending.waiters.take(freed, woken);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::IoSliceMut;
    use std::sync::Arc;

    use super::*;
    use crate::buffer::BufferPool;
    use crate::hello::{Hello, LaneOffer};
    use crate::id::{Incarnation, NodeId, SessionNonce};
    use crate::lane::LaneConfig;
    use crate::linking::DialedBy;
    use crate::outbox::Outbox;
    use crate::session::{CloseCode, SessionConfig, Signal, Timing};
    use crate::transport::PeerProof;

    /// Reads what the test put there: bytes per channel, or the channel's end.
    struct Scripted(Arc<Mutex<[VecDeque<Vec<u8>>; 2]>>);

    impl Link for Scripted {
        fn channels(&self) -> usize {
            2
        }

        fn peer(&self) -> PeerProof {
            PeerProof::None
        }

        fn poll_write(
            &mut self,
            _cx: &mut Context<'_>,
            _channel: usize,
            queue: &mut SendQueue,
        ) -> Poll<io::Result<usize>> {
            let count = queue.len();
            queue.clear();
            Poll::Ready(Ok(count))
        }

        fn poll_flush(&mut self, _cx: &mut Context<'_>, _channel: usize) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_read(
            &mut self,
            _cx: &mut Context<'_>,
            channel: usize,
            slots: &mut [IoSliceMut<'_>],
        ) -> Poll<io::Result<usize>> {
            let Some(bytes) = lock(&self.0)[channel].pop_front() else { return Poll::Pending };
            slots[0][..bytes.len()].copy_from_slice(&bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn hello(node: u32) -> Hello {
        Hello {
            features: 0,
            cluster: "test".parse().unwrap(),
            node: NodeId(node),
            incarnation: Incarnation(1),
            expects: None,
            session: SessionNonce(u64::from(node)),
            lanes: lanes().iter().map(LaneOffer::of).collect(),
            challenge: [0; 32],
        }
    }

    fn lanes() -> Vec<LaneConfig> {
        vec![LaneConfig::new("control", 1), LaneConfig::new("data", 1)]
    }

    /// A session of `node` with `peer` over a link of two channels.
    fn session(node: u32, peer: u32) -> Session {
        let pool = BufferPool::new(0);
        let config = SessionConfig { lanes: lanes(), timing: Timing::default(), pool };
        let mut session = Session::new(Arc::new(config), SessionNonce(u64::from(node)));
        session.attach(Instant::default(), 2, &hello(peer), &mut Outbox::new(&lanes()));
        session
    }

    /// What `session` writes on channel 0.
    fn written(session: &mut Session) -> Vec<u8> {
        let mut queue = SendQueue::default();
        session.poll_transmit(Instant::default(), 0, &mut Outbox::new(&lanes()), &mut queue);
        let mut bytes = Vec::new();
        queue.consume(|segments| {
            for segment in segments {
                bytes.extend(segment.split_off(0));
            }
        });
        bytes
    }

    #[test]
    fn the_end_of_a_lane_does_not_hide_the_close_that_comes_behind_it() {
        let script = Arc::new(Mutex::new([VecDeque::new(), VecDeque::new()]));
        let candidate = Candidate {
            link: Box::new(Scripted(script.clone())),
            hello: hello(2),
            dialer: DialedBy::Us,
            transport: "scripted",
            address: String::new(),
            nonce: SessionNonce(1),
            first: Vec::new(),
            arriving: None,
        };
        let mut live = LiveLink::new(candidate, Instant::default());
        let (mut ours, mut theirs) = (session(1, 2), session(2, 1));
        let cx = &mut Context::from_waker(Waker::noop());
        let mut read = |ours: &mut Session| {
            let mut received = Received::default();
            live.poll_read(cx, Instant::default(), ours, &mut received).map(|_| received.signals)
        };

        lock(&script)[0].push_back(written(&mut theirs));
        lock(&script)[1].push_back(Vec::new());
        assert_eq!(read(&mut ours).unwrap(), [Signal::Synced]);
        theirs.close(CloseCode::Drained, "");
        lock(&script)[0].push_back(written(&mut theirs));
        let closed = Signal::Closed { code: CloseCode::Drained, reason: String::new() };
        assert_eq!(read(&mut ours).unwrap(), [closed]);
        lock(&script)[0].push_back(Vec::new());
        assert!(matches!(read(&mut ours), Err(Broken::Link)));
    }
}
