//! Knowing when an endpoint has let go of its port.
//!
//! A dropped endpoint keeps its socket until its last connection has been wound up, some round
//! trips later. Whoever listens at the same address again, as a node that restarts within its
//! process does, waits for that instead of failing.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a port is waited for. Connections are wound up within three retransmission timeouts.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells that a socket is closed: it never yields a value, only the end.
pub type Released = oneshot::Receiver<()>;

/// Ports that nobody listens at any more and that are not free yet.
static RETIRED: Mutex<Vec<(SocketAddr, Released)>> = Mutex::new(Vec::new());

/// Wraps `socket` so that its end is told.
pub fn track(socket: Arc<dyn AsyncUdpSocket>) -> (Arc<dyn AsyncUdpSocket>, Released) {
    let (sender, released) = oneshot::channel();
    (Arc::new(Tracked { socket, _sender: sender }), released)
}

/// Notes that nobody listens at `address` any more.
pub fn retire(address: SocketAddr, mut released: Released) {
    let mut retired = RETIRED.lock().unwrap_or_else(PoisonError::into_inner);
    retired.retain_mut(|(_, released)| is_held(released));
    if is_held(&mut released) {
        retired.push((address, released));
    }
}

fn is_held(released: &mut Released) -> bool {
    matches!(released.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

/// Waits until `address` is free, if it was one of ours.
pub async fn wait(address: SocketAddr) {
    let found = {
        let mut retired = RETIRED.lock().unwrap_or_else(PoisonError::into_inner);
        let position = retired.iter().position(|(other, _)| *other == address);
        position.map(|position| retired.swap_remove(position).1)
    };
    if let Some(released) = found {
        // If it takes longer, the second attempt to listen says that the address is taken.
        let _ = timeout(PATIENCE, released).await;
    }
}

/// A socket whose end is told. The sender comes last, as fields are dropped in their order.
struct Tracked {
    socket: Arc<dyn AsyncUdpSocket>,
    _sender: oneshot::Sender<()>,
}

/// A poller, which holds the socket open, too.
#[derive(Debug)]
struct TrackedPoller {
    poller: Pin<Box<dyn UdpPoller>>,
    _socket: Arc<Tracked>,
}

impl UdpPoller for TrackedPoller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poller.as_mut().poll_writable(cx)
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl AsyncUdpSocket for Tracked {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let poller = self.socket.clone().create_io_poller();
        Box::pin(TrackedPoller { poller, _socket: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
