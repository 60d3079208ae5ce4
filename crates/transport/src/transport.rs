//! Transports: dial and accept raw links. All semantics live above, in the session.
//!
//! A link moves bytes. It has one or more *channels*, each an ordered byte stream in both
//! directions: one for transports that are a byte stream (tcp, tls, memory), one per lane for
//! transports with streams of their own (quic). Channel 0 carries the handshake and the control
//! lane. What is written may be lost when a link breaks; the session replays it.
//!
//! To add a transport, write one file that implements [`Transport`], [`Listener`] and [`Link`],
//! run the conformance suite over it, and add its line to [`create`].

#[cfg(any(feature = "tcp", feature = "quic"))]
mod host;
mod memory;
#[cfg(feature = "quic")]
mod quic;
#[cfg(any(feature = "tls", feature = "quic"))]
mod refusal;
mod registry;
#[cfg(feature = "tcp")]
mod socket;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tcp")]
mod tcp_info;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::id::NodeId;
pub use crate::proof::PeerProof;
use crate::session::SendQueue;

pub use memory::Memory;
#[cfg(feature = "quic")]
pub use quic::Quic;
pub use registry::{CreateError, create, names};
#[cfg(feature = "tcp")]
pub use tcp::Tcp;
#[cfg(feature = "tls")]
pub use tls::Tls;

/// The application protocol in every TLS handshake: whoever speaks another, or another version
/// of it, is turned away before anything else is read.
#[cfg(any(feature = "tls", feature = "quic"))]
const ALPN: &[u8] = b"dx/1";

/// A boxed future, so that transports are picked by name at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to reach nodes.
pub trait Transport: Send + Sync + 'static {
    /// The name in addresses (`tls://...`), configuration and metrics.
    fn name(&self) -> &'static str;

    /// Listens at `endpoint` (what follows `name://`).
    fn bind<'a>(&'a self, endpoint: &'a str)
    -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>>;

    /// Connects to `endpoint`, where `peer` is expected, with one channel per lane if the
    /// transport has streams of its own.
    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>>;
}

/// Accepts links at one endpoint.
pub trait Listener: Send {
    /// Where it really listens: port 0 is replaced by the port that was given.
    fn endpoint(&self) -> String;

    /// The next connection, before any TLS or QUIC handshake. Cancel-safe.
    ///
    /// Where an address can be forged, `must_prove` is asked for each caller that has not proven
    /// its own. One that must is told to call again with a proof, and is not returned before.
    ///
    /// # Errors
    /// When the operating system refuses, for example for want of file descriptors. The listener
    /// stays usable.
    fn accept<'a>(
        &'a mut self,
        must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>>;
}

/// Says whether a caller has to prove that the address it calls from is its own. It costs the
/// caller a round trip, and the listener no memory.
pub type MustProve<'a> = dyn Fn() -> bool + Sync + 'a;

/// A connection that a listener accepted and that has proven nothing yet.
pub struct Incoming {
    from: Option<IpAddr>,
    upgrade: Upgrade,
}

type Upgrade =
    Box<dyn FnOnce(usize) -> BoxFuture<'static, Result<Box<dyn Link>, DialError>> + Send>;

impl Incoming {
    /// A connection from `from`, which is `None` where the transport has no addresses. `upgrade`
    /// carries out the transport's own handshake; its argument is the number of lanes.
    pub fn new<F>(from: Option<IpAddr>, upgrade: impl FnOnce(usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Box<dyn Link>, DialError>> + Send + 'static,
    {
        Self {
            from: from.map(|from| from.to_canonical()),
            upgrade: Box::new(|lanes| Box::pin(upgrade(lanes))),
        }
    }

    /// The same, with something around the link that comes of it.
    #[must_use]
    pub fn wrap(self, wrap: impl FnOnce(Box<dyn Link>) -> Box<dyn Link> + Send + 'static) -> Self {
        let upgrade = self.upgrade;
        Self::new(self.from, |lanes| async move { Ok(wrap(upgrade(lanes).await?)) })
    }

    /// Where it comes from, for limits.
    #[must_use]
    pub fn from(&self) -> Option<IpAddr> {
        self.from
    }

    /// Carries out the transport's own handshake, for a link of as many channels as there are
    /// `lanes` if the transport has streams of its own.
    #[must_use = "nothing happens before it is polled"]
    pub fn upgrade(self, lanes: usize) -> BoxFuture<'static, Result<Box<dyn Link>, DialError>> {
        (self.upgrade)(lanes)
    }
}

/// One connection.
///
/// The poll functions follow the contract of [`Future::poll`]: `Pending` registers the waker.
pub trait Link: Send {
    /// Byte streams in each direction: 1, or one per lane (lane = channel).
    fn channels(&self) -> usize;

    /// What the transport itself has proven about the peer.
    fn peer(&self) -> PeerProof;

    /// Writes from the front of `queue` to `channel`, and takes off what was written.
    /// Returns the number of bytes, at least 1.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>>;

    /// Hands on whatever the transport still buffers on `channel`.
    fn poll_flush(&mut self, cx: &mut Context<'_>, channel: usize) -> Poll<io::Result<()>>;

    /// Reads from `channel` into `slots`, in order. 0 means that the peer closed the channel.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Closes: what was written before is still delivered, as far as the transport can. The link
    /// may be dropped once this is ready, and at any time before, which aborts it.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The largest datagram, or `None` where the transport has none.
    fn max_datagram(&self) -> Option<usize> {
        None
    }

    /// Sends a datagram, best effort.
    ///
    /// # Errors
    /// If the link is closed or has no datagrams, or this one is too large.
    fn send_datagram(&mut self, _datagram: Bytes) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next datagram. Never ready where the transport has none.
    fn poll_datagram(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        Poll::Pending
    }

    /// What the transport knows of the path.
    fn stats(&self) -> LinkStats {
        LinkStats::default()
    }
}

/// What the transport knows of the path; fields are zero where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Smoothed round-trip time as the transport measures it, in microseconds.
    pub rtt_us: u64,
    /// Packets or segments that were sent again.
    pub retransmits: u64,
    /// Congestion window, in bytes.
    pub congestion_window: u64,
}

/// Why listening failed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The endpoint is not one: fault of the configuration.
    #[error("`{endpoint}` is not an endpoint of {transport}: {reason}")]
    Endpoint {
        /// The transport's name.
        transport: &'static str,
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process, or another mesh of this one, listens there.
    #[error(
        "{transport}://{endpoint} is taken by another process: choose another port, or stop that process"
    )]
    InUse {
        /// The transport's name.
        transport: &'static str,
        /// What was given.
        endpoint: String,
    },
    /// The transport needs a certificate, key or secret that was not given or does not work.
    #[error("{transport} cannot listen: {reason}")]
    Credentials {
        /// The transport's name.
        transport: &'static str,
        /// What is missing or wrong.
        reason: String,
    },
    /// The operating system refused.
    #[error("failed to listen at {transport}://{endpoint}: {source}")]
    Io {
        /// The transport's name.
        transport: &'static str,
        /// What was given.
        endpoint: String,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Why a link could not be made, on either side. Nothing was sent to the application.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The endpoint is not one: fault of the configuration.
    #[error("`{endpoint}` is not an endpoint of {transport}: {reason}")]
    Endpoint {
        /// The transport's name.
        transport: &'static str,
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody listens there: the peer's process is not running.
    #[error("connection to {0} refused: nothing listens there")]
    Refused(String),
    /// No answer.
    #[error("no answer from {0}: the host or the network is down, or a firewall drops the packets")]
    Timeout(String),
    /// No way there.
    #[error("no route to {0}: the network is down, or the address is wrong")]
    Unreachable(String),
    /// Its certificate, or ours in its eyes, is not the cluster's or not the node's.
    #[error("certificate refused: {0}")]
    Certificate(String),
    /// The transport's own handshake failed.
    #[error("{transport} handshake failed: {reason}")]
    Handshake {
        /// The transport's name.
        transport: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The operating system or the network refused.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for DialError {
    /// What `error` carries if a link met a refusal late, else the error itself.
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}

impl DialError {
    /// Whether the peer's host said that nobody listens there: the node is down for sure.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
