//! A transport whose links all break, or freeze, on command.

use std::io::{self, IoSliceMut};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{
    BindError, BoxFuture, DialError, Incoming, Link, Listener, PeerProof, Transport,
};

/// Wraps a transport, whose name it keeps.
pub struct Fragile {
    inner: Arc<dyn Transport>,
    breaks: Arc<Mutex<Breaks>>,
}

#[derive(Default)]
struct Breaks {
    count: u64,
    is_frozen: bool,
    wakers: Vec<Waker>,
}

impl Fragile {
    pub fn new(inner: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self { inner, breaks: Arc::default() })
    }

    /// Breaks all links that were made so far.
    pub fn break_all(&self) {
        let mut breaks = self.breaks.lock().unwrap();
        breaks.count += 1;
        breaks.wakers.drain(..).for_each(Waker::wake);
    }

    /// From now on nothing comes through, as if all cables were cut.
    pub fn freeze(&self) {
        self.breaks.lock().unwrap().is_frozen = true;
    }

    /// Everything flows again.
    pub fn thaw(&self) {
        let mut breaks = self.breaks.lock().unwrap();
        breaks.is_frozen = false;
        breaks.wakers.drain(..).for_each(Waker::wake);
    }
}

struct FragileLink {
    inner: Box<dyn Link>,
    breaks: Arc<Mutex<Breaks>>,
    made: u64,
}

impl FragileLink {
    fn wrap(inner: Box<dyn Link>, breaks: Arc<Mutex<Breaks>>) -> Box<dyn Link> {
        let made = breaks.lock().unwrap().count;
        Box::new(Self { inner, breaks, made })
    }

    /// Ready while bytes may flow.
    fn poll_flow(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut breaks = self.breaks.lock().unwrap();
        if breaks.count > self.made {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if !breaks.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            breaks.wakers.push(cx.waker().clone());
        }
        if breaks.is_frozen { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl Link for FragileLink {
    fn channels(&self) -> usize {
        self.inner.channels()
    }

    fn peer(&self) -> PeerProof {
        self.inner.peer()
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flow(cx))?;
        self.inner.poll_write(cx, channel, queue)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, channel: usize) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx, channel)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flow(cx))?;
        self.inner.poll_read(cx, channel, slots)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_close(cx)
    }
}

struct FragileListener {
    inner: Box<dyn Listener>,
    breaks: Arc<Mutex<Breaks>>,
}

impl Listener for FragileListener {
    fn endpoint(&self) -> String {
        self.inner.endpoint()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        let breaks = self.breaks.clone();
        Box::pin(async move {
            let Incoming { from, upgrade } = self.inner.accept().await?;
            let wrapped = move |lanes| -> BoxFuture<'static, Result<Box<dyn Link>, DialError>> {
                Box::pin(async move { Ok(FragileLink::wrap(upgrade(lanes).await?, breaks)) })
            };
            Ok(Incoming { from, upgrade: Box::new(wrapped) })
        })
    }
}

impl Transport for Fragile {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let inner = self.inner.bind(endpoint).await?;
            let breaks = self.breaks.clone();
            Ok(Box::new(FragileListener { inner, breaks }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            let inner = self.inner.dial(endpoint, peer, lanes).await?;
            Ok(FragileLink::wrap(inner, self.breaks.clone()))
        })
    }
}
