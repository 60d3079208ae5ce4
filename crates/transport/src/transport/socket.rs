//! TCP sockets as a mesh wants them. Plain tcp and tls share them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{BindError, BoxFuture, DialError, Incoming, Link, Listener, MustProve, host};
use crate::limits;
use crate::patience::Patience;

/// Segments that go into one system call, at most. A batch is a handful of them.
pub(super) const MAX_SLICES: usize = 64;

/// Connections that the kernel holds for us until we accept them.
const BACKLOG: u32 = 1024;

/// Bytes that the kernel holds and has not yet sent. What is written waits behind them, whatever
/// its priority: 128 KiB are 1 ms at 1 Gbit/s, and enough to keep the wire busy.
const UNSENT_BYTES: u32 = 128 * 1024;

/// The same within this host, where nothing has to be kept busy.
const LOOPBACK_UNSENT_BYTES: u32 = 64 * 1024;

/// The receive buffer of a connection within this host, in bytes (the kernel doubles it for its
/// own needs). There it takes the place of the wire: without a bound the kernel grows it to many
/// megabytes, all of which a control message would have to wait for. As it is, some 256 KiB are
/// under way at most, and as they stay in the processor's cache, bulk is faster, too: of 64 to
/// 256 KiB here and 64 to 128 KiB unsent, this pair was measured to be the fastest. Between hosts
/// the kernel's own tuning knows the bandwidth and the delay, and is left alone.
const LOOPBACK_RECEIVE_BYTES: usize = 128 * 1024;

/// Sent data that nobody acknowledges breaks the connection after this time; otherwise it takes
/// the kernel a quarter of an hour. Longer than the failure detector, which decides.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// An idle connection is probed after this time,
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// then this often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// and breaks after so many probes without an answer.
const KEEPALIVE_PROBES: u32 = 3;

/// How long a closing end waits until the peer has read everything and closes, too.
const LINGER: Duration = Duration::from_secs(2);

/// Makes a link of an accepted connection.
pub(super) type UpgradeSocket =
    Arc<dyn Fn(TcpStream) -> BoxFuture<'static, Result<Box<dyn Link>, DialError>> + Send + Sync>;

/// Accepts connections, and leaves their handshake to `upgrade`.
pub(super) struct SocketListener {
    listener: TcpListener,
    address: SocketAddr,
    upgrade: UpgradeSocket,
}

impl SocketListener {
    /// Listens at `endpoint`, at the first of its addresses that works.
    pub async fn bind(
        transport: &'static str,
        endpoint: &str,
        upgrade: UpgradeSocket,
    ) -> Result<Self, BindError> {
        let resolved = host::resolve(endpoint).await;
        let addresses = resolved.map_err(|error| error.on_bind(transport, endpoint))?;
        let mut listening = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            listening = listen(address).and_then(|l| Ok((l.local_addr()?, l)));
            if listening.is_ok() {
                break;
            }
        }
        match listening {
            Ok((address, listener)) => Ok(Self { listener, address, upgrade }),
            Err(error) => Err(host::bind_error(transport, endpoint, error)),
        }
    }
}

impl Listener for SocketListener {
    fn endpoint(&self) -> String {
        self.address.to_string()
    }

    fn accept<'a>(
        &'a mut self,
        _must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            let upgrade = self.upgrade.clone();
            Ok(Incoming::new(Some(from.ip()), move |_lanes| async move {
                set_options(&SockRef::from(&stream), from.ip())?;
                upgrade(stream).await
            }))
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket_for(address)?;
    // A restarted node gets its port back although old connections still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connects to `endpoint`, at the first of its addresses that works. They share the time that a
/// handshake may take.
pub(super) async fn connect(
    transport: &'static str,
    endpoint: &str,
) -> Result<TcpStream, DialError> {
    let resolved = host::resolve(endpoint).await;
    connect_to_any(resolved.map_err(|error| error.on_dial(transport, endpoint))?).await
}

async fn connect_to_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let share = limits::HANDSHAKE_TIMEOUT / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut errors = Vec::new();
    for address in addresses {
        match Patience::new(share).wait(connect_to(address)).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => errors.push(host::dial_error(address, error)),
            None => errors.push(DialError::Timeout(address.to_string())),
        }
    }
    Err(host::worst(errors))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket_for(address)?;
    set_options(&SockRef::from(&socket), address.ip())?;
    socket.connect(address).await
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

fn set_options(socket: &SockRef<'_>, peer: IpAddr) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    if peer.to_canonical().is_loopback() {
        socket.set_recv_buffer_size(LOOPBACK_RECEIVE_BYTES)?;
        socket.set_tcp_notsent_lowat(LOOPBACK_UNSENT_BYTES)
    } else {
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)
    }
}

/// Waits for the peer to close after this end has. Closing a socket in which unread data lies
/// would reset the connection, and the peer might lose what was sent last.
#[derive(Default)]
pub(super) struct Linger(Option<Pin<Box<Sleep>>>);

impl Linger {
    /// Ready when the peer has closed, or the connection broke, or [`LINGER`] is over.
    pub fn poll(&mut self, cx: &mut Context<'_>, stream: &TcpStream) -> Poll<io::Result<()>> {
        let end = self.0.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let mut discarded = [0; 16 * 1024];
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read(&mut discarded) {
                Ok(0) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_addresses_of_a_host_are_tried() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let somebody = listener.local_addr().unwrap();
        let stream = connect_to_any(vec![nobody, somebody]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), somebody);
        assert!(connect_to_any(vec![nobody, nobody]).await.unwrap_err().is_refusal());
    }
}
