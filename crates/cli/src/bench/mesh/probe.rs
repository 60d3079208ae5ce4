//! A transport around a transport: counts what its links read, and breaks them when told.
//!
//! Breaking does to any transport what pulling its cable does: each end finds its link broken in
//! the middle of whatever it was reading or writing, and what was under way is gone.

use std::io::{self, IoSliceMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{
    BindError, BoxFuture, DialError, Incoming, Link, LinkStats, Listener, MustProve, PeerProof,
    Transport,
};

/// What a probe counts and does.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    read: AtomicU64,
    links: Mutex<Vec<Weak<Cable>>>,
}

/// The cable of one link.
#[derive(Debug, Default)]
struct Cable {
    broken: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Gauge {
    /// Bytes that links have read so far, on all lanes together.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.inner.read.load(Ordering::Relaxed)
    }

    /// Breaks all links that there are now. Returns how many there were.
    #[must_use]
    pub fn break_links(&self) -> usize {
        let links = std::mem::take(&mut *lock(&self.inner.links));
        links.iter().filter_map(Weak::upgrade).map(|cable| cable.pull()).count()
    }

    fn watch(&self, link: Box<dyn Link>) -> Box<dyn Link> {
        let cable = Arc::new(Cable::default());
        lock(&self.inner.links).push(Arc::downgrade(&cable));
        Box::new(ProbedLink { link, cable, gauge: self.clone() })
    }
}

impl Cable {
    fn pull(&self) {
        self.broken.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.waiting).take() {
            waker.wake();
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.broken.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// `poll`, unless the cable is pulled before or meanwhile.
    fn unless_pulled<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check()?;
        let result = poll(cx);
        if result.is_pending() {
            *lock(&self.waiting) = Some(cx.waker().clone());
            // It may have been pulled before the waker was there to be woken.
            self.check()?;
        }
        result
    }
}

/// A mutex whose content is whole after any panic, as each use is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transport whose links can be watched and broken.
pub struct Probe {
    transport: Arc<dyn Transport>,
    gauge: Gauge,
}

impl Probe {
    /// Around `transport`; it goes by the same name.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, gauge: Gauge) -> Self {
        Self { transport, gauge }
    }
}

impl Transport for Probe {
    fn name(&self) -> &'static str {
        self.transport.name()
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let listener = self.transport.bind(endpoint).await?;
            let gauge = self.gauge.clone();
            Ok(Box::new(ProbedListener { listener, gauge }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(
            async move { Ok(self.gauge.watch(self.transport.dial(endpoint, peer, lanes).await?)) },
        )
    }
}

struct ProbedListener {
    listener: Box<dyn Listener>,
    gauge: Gauge,
}

impl Listener for ProbedListener {
    fn endpoint(&self) -> String {
        self.listener.endpoint()
    }

    fn accept<'a>(
        &'a mut self,
        must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        Box::pin(async move {
            let gauge = self.gauge.clone();
            Ok(self.listener.accept(must_prove).await?.wrap(move |link| gauge.watch(link)))
        })
    }
}

struct ProbedLink {
    link: Box<dyn Link>,
    cable: Arc<Cable>,
    gauge: Gauge,
}

impl Link for ProbedLink {
    fn channels(&self) -> usize {
        self.link.channels()
    }

    fn peer(&self) -> PeerProof {
        self.link.peer()
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        self.cable.unless_pulled(cx, |cx| self.link.poll_write(cx, channel, queue))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, channel: usize) -> Poll<io::Result<()>> {
        self.cable.unless_pulled(cx, |cx| self.link.poll_flush(cx, channel))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = self.cable.unless_pulled(cx, |cx| self.link.poll_read(cx, channel, slots));
        if let Poll::Ready(Ok(count)) = &read {
            self.gauge.inner.read.fetch_add(*count as u64, Ordering::Relaxed);
        }
        read
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cable.unless_pulled(cx, |cx| self.link.poll_close(cx))
    }

    fn max_datagram(&self) -> Option<usize> {
        self.link.max_datagram()
    }

    fn send_datagram(&mut self, datagram: Bytes) -> io::Result<()> {
        self.cable.check()?;
        self.link.send_datagram(datagram)
    }

    fn poll_datagram(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.cable.unless_pulled(cx, |cx| self.link.poll_datagram(cx))
    }

    fn stats(&self) -> LinkStats {
        self.link.stats()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use dx_transport::credentials::Credentials;
    use dx_transport::transport;

    use super::*;

    const CHANNEL: usize = 0;

    async fn read(mut link: Box<dyn Link>) -> io::Result<usize> {
        let mut buffer = [0; 16];
        poll_fn(|cx| link.poll_read(cx, CHANNEL, &mut [IoSliceMut::new(&mut buffer)])).await
    }

    async fn links(gauge: &Gauge, name: &str) -> (Box<dyn Link>, Box<dyn Link>) {
        let memory = transport::create("memory", &Credentials::default()).unwrap();
        let probe = Probe::new(memory, gauge.clone());
        let mut listener = probe.bind(name).await.unwrap();
        let dialed = probe.dial(name, NodeId(1), 1).await.unwrap();
        let accepted = listener.accept(&|| false).await.unwrap().upgrade(1).await.unwrap();
        (dialed, accepted)
    }

    #[tokio::test]
    async fn what_is_read_is_counted() {
        let gauge = Gauge::default();
        let (mut a, b) = links(&gauge, "probe-counts").await;
        let mut queue = SendQueue::default();
        queue.push(Bytes::from_static(b"12345"));
        let written = poll_fn(|cx| a.poll_write(cx, CHANNEL, &mut queue)).await.unwrap();
        assert_eq!((written, read(b).await.unwrap(), gauge.read_bytes()), (5, 5, 5));
    }

    #[tokio::test]
    async fn a_pulled_cable_wakes_who_waits_at_either_end() {
        let gauge = Gauge::default();
        let (a, b) = links(&gauge, "probe-breaks").await;
        let (a, b) = (tokio::spawn(read(a)), tokio::spawn(read(b)));
        tokio::task::yield_now().await;
        assert_eq!(gauge.break_links(), 2);
        for end in [a, b] {
            let error = end.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        assert_eq!(gauge.break_links(), 0);
    }
}
