//! Transports whose links all break, or freeze, on command.

use std::io::{self, IoSliceMut};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{
    BindError, BoxFuture, DialError, Incoming, Link, Listener, MustProve, PeerProof, Transport,
};

/// Breaks the links of the transports that it wraps.
#[derive(Clone, Default)]
pub struct Cables(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    breaks: u64,
    is_cut: bool,
    is_forbidden: bool,
    wakers: Vec<Waker>,
}

impl Cables {
    /// `inner`, with links that break when this says so. It keeps its name.
    pub fn wrap(&self, inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(Fragile { inner, cables: self.clone() })
    }

    /// Breaks all links that were made so far.
    pub fn break_all(&self) {
        let mut state = self.0.lock().unwrap();
        state.breaks += 1;
        state.wakers.drain(..).for_each(Waker::wake);
    }

    /// Lets nobody connect any more: what is dialed is refused.
    pub fn forbid(&self) {
        self.0.lock().unwrap().is_forbidden = true;
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn cut(&self) {
        self.0.lock().unwrap().is_cut = true;
    }

    /// Everything flows again.
    pub fn heal(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_cut = false;
        state.wakers.drain(..).for_each(Waker::wake);
    }
}

struct Fragile {
    inner: Arc<dyn Transport>,
    cables: Cables,
}

struct FragileLink {
    inner: Box<dyn Link>,
    cables: Cables,
    made: u64,
}

impl FragileLink {
    fn wrap(inner: Box<dyn Link>, cables: Cables) -> Box<dyn Link> {
        let made = cables.0.lock().unwrap().breaks;
        Box::new(Self { inner, cables, made })
    }

    /// Ready while bytes may flow.
    fn poll_flow(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.cables.0.lock().unwrap();
        if state.breaks > self.made {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        if state.is_cut { Poll::Pending } else { Poll::Ready(Ok(())) }
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
    cables: Cables,
}

impl Listener for FragileListener {
    fn endpoint(&self) -> String {
        self.inner.endpoint()
    }

    fn accept<'a>(
        &'a mut self,
        must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        let cables = self.cables.clone();
        Box::pin(async move {
            let incoming = self.inner.accept(must_prove).await?;
            Ok(incoming.wrap(|link| FragileLink::wrap(link, cables)))
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
            let cables = self.cables.clone();
            Ok(Box::new(FragileListener { inner, cables }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            if self.cables.0.lock().unwrap().is_forbidden {
                return Err(DialError::Refused(endpoint.to_owned()));
            }
            let inner = self.inner.dial(endpoint, peer, lanes).await?;
            Ok(FragileLink::wrap(inner, self.cables.clone()))
        })
    }
}
