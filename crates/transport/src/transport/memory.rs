//! Links within one process: bounded pipes, found by name.

mod pipe;

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::{
    BindError, BoxFuture, DialError, Incoming, Link, Listener, MustProve, PeerProof, Transport,
};
use crate::id::NodeId;
use crate::session::SendQueue;
use pipe::Pipe;

/// Links that wait to be accepted. A dial beyond that waits as well.
const BACKLOG: usize = 1024;

/// Links within this process. An endpoint is any name that no other listener of it has.
///
/// Nothing is proven about the peer, as over plain tcp.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

type Listeners = HashMap<String, mpsc::Sender<MemoryLink>>;

/// The listeners of this process, by endpoint.
fn listeners() -> MutexGuard<'static, Listeners> {
    static LISTENERS: LazyLock<Mutex<Listeners>> = LazyLock::new(Mutex::default);
    // A map is whole after any panic, as each use is one call.
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move { Ok(Box::new(MemoryListener::bind(endpoint)?) as Box<dyn Listener>) })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        _peer: NodeId,
        _lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            let refused = || DialError::Refused(format!("memory://{endpoint}"));
            let listener = listeners().get(endpoint).cloned().ok_or_else(refused)?;
            let (ours, theirs) = MemoryLink::pair();
            listener.send(theirs).await.map_err(|_| refused())?;
            Ok(Box::new(ours) as Box<dyn Link>)
        })
    }
}

struct MemoryListener {
    endpoint: String,
    links: mpsc::Receiver<MemoryLink>,
}

impl MemoryListener {
    fn bind(endpoint: &str) -> Result<Self, BindError> {
        let mut listeners = listeners();
        if listeners.contains_key(endpoint) {
            return Err(BindError::InUse { transport: "memory", endpoint: endpoint.to_owned() });
        }
        let (sender, links) = mpsc::channel(BACKLOG);
        listeners.insert(endpoint.to_owned(), sender);
        Ok(Self { endpoint: endpoint.to_owned(), links })
    }
}

impl Listener for MemoryListener {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn accept<'a>(
        &'a mut self,
        _must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        Box::pin(async move {
            // The sender lies in `listeners` until this listener is dropped.
            let link = self.links.recv().await.expect("a listener holds its own channel open");
            Ok(Incoming::new(None, |_| async { Ok(Box::new(link) as Box<dyn Link>) }))
        })
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        listeners().remove(&self.endpoint);
    }
}

/// One end of a pair of pipes.
struct MemoryLink {
    outgoing: Arc<Pipe>,
    incoming: Arc<Pipe>,
}

impl MemoryLink {
    fn pair() -> (Self, Self) {
        let (one, other) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let ours = Self { outgoing: one.clone(), incoming: other.clone() };
        (ours, Self { outgoing: other, incoming: one })
    }
}

impl Link for MemoryLink {
    fn channels(&self) -> usize {
        1
    }

    fn peer(&self) -> PeerProof {
        PeerProof::None
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        _channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, queue)
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>, _channel: usize) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        _channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.incoming.poll_read(cx, slots)
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What lies in the pipe stays there for the peer, even when this end is dropped.
        self.outgoing.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.outgoing.abandon();
        self.incoming.abandon();
    }
}
