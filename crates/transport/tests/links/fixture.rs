//! Two nodes with a link between them.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use dx_transport::credentials::Credentials;
use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{self, DialError, Link, Listener, Transport};

/// Lanes that the tests ask for.
pub const LANES: usize = 3;

/// The node that accepts.
pub const ACCEPTOR: NodeId = NodeId(1);

/// The node that dials.
#[cfg(feature = "identity")]
pub const DIALER: NodeId = NodeId(2);

/// What one end gets.
pub type Attempt = Result<Box<dyn Link>, DialError>;

/// One transport with the credentials of two nodes.
pub struct Fixture {
    name: &'static str,
    acceptor: Arc<dyn Transport>,
    dialer: Arc<dyn Transport>,
}

impl Fixture {
    /// Two nodes of one cluster.
    pub fn new(name: &'static str) -> Self {
        let [acceptor, dialer] = credentials();
        Self::with(name, &acceptor, &dialer)
    }

    pub fn with(name: &'static str, acceptor: &Credentials, dialer: &Credentials) -> Self {
        let [acceptor, dialer] = [acceptor, dialer].map(|credentials| {
            let transport = transport::create(name, credentials).unwrap();
            assert_eq!(transport.name(), name);
            transport
        });
        Self { name, acceptor, dialer }
    }

    /// Whether links go through a network, if only this host's own.
    pub fn has_path(&self) -> bool {
        self.name != "memory"
    }

    pub fn acceptor(&self) -> Arc<dyn Transport> {
        self.acceptor.clone()
    }

    pub fn dialer(&self) -> Arc<dyn Transport> {
        self.dialer.clone()
    }

    /// Listens at an endpoint of its own.
    pub async fn listen(&self) -> Box<dyn Listener> {
        static COUNTER: AtomicUsize = AtomicUsize::new(0);
        if self.name == "memory" {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            self.listen_at(&format!("links-{number}")).await
        } else {
            self.listen_at("127.0.0.1:0").await
        }
    }

    pub async fn listen_at(&self, endpoint: &str) -> Box<dyn Listener> {
        self.acceptor.bind(endpoint).await.unwrap()
    }

    /// The dialing and the accepting end of a new link.
    pub async fn pair(&self) -> (End, End) {
        let mut listener = self.listen().await;
        let endpoint = listener.endpoint();
        self.connect(&endpoint, &mut listener).await
    }

    pub async fn connect(&self, endpoint: &str, listener: &mut Box<dyn Listener>) -> (End, End) {
        let (dialer, acceptor) = self.attempt(endpoint, listener).await;
        (End { link: dialer.unwrap() }, End { link: acceptor.unwrap() })
    }

    /// What the dialing and the accepting end get.
    pub async fn attempt(
        &self,
        endpoint: &str,
        listener: &mut Box<dyn Listener>,
    ) -> (Attempt, Attempt) {
        let accept = async {
            let incoming = listener.accept(&|| false).await.unwrap();
            incoming.upgrade(LANES).await
        };
        tokio::join!(self.dialer.dial(endpoint, ACCEPTOR, LANES), accept)
    }
}

#[cfg(not(feature = "identity"))]
fn credentials() -> [Credentials; 2] {
    [Credentials::default(), Credentials::default()]
}

#[cfg(feature = "identity")]
fn credentials() -> [Credentials; 2] {
    let authority = dx_transport::identity::Authority::create().unwrap();
    [ACCEPTOR, DIALER].map(|node| {
        let identity = authority.issue(node, std::time::Duration::from_hours(1)).unwrap();
        Credentials { identity: Some(identity), secret: None }
    })
}

/// One end of a link, with reads and writes that wait.
pub struct End {
    pub link: Box<dyn Link>,
}

impl End {
    pub async fn write(&mut self, channel: usize, bytes: &[u8]) {
        let mut queue = SendQueue::default();
        queue.push(Bytes::copy_from_slice(bytes));
        self.write_queue(channel, &mut queue).await;
    }

    pub async fn write_queue(&mut self, channel: usize, queue: &mut SendQueue) {
        while !queue.is_empty() {
            let before = queue.len();
            let count = poll_fn(|cx| self.link.poll_write(cx, channel, queue)).await.unwrap();
            assert!(count > 0 && before - queue.len() == count, "it says what it wrote");
        }
        poll_fn(|cx| self.link.poll_flush(cx, channel)).await.unwrap();
    }

    /// What one read gives; empty at the end of the channel.
    pub async fn read_some(&mut self, channel: usize, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count =
            poll_fn(|cx| self.link.poll_read(cx, channel, &mut [IoSliceMut::new(&mut bytes)]))
                .await?;
        bytes.truncate(count);
        Ok(bytes)
    }

    pub async fn read(&mut self, channel: usize, length: usize) -> Vec<u8> {
        let mut received = Vec::with_capacity(length);
        while received.len() < length {
            let some = self.read_some(channel, (length - received.len()).min(65_536)).await;
            let some = some.unwrap();
            assert!(!some.is_empty(), "closed after {} of {length} bytes", received.len());
            received.extend(some);
        }
        received
    }

    /// Writes and reads at once, as the owner of both directions.
    pub async fn exchange(&mut self, channel: usize, send: &[u8], receive: usize) -> Vec<u8> {
        let mut queue = SendQueue::default();
        queue.push(Bytes::copy_from_slice(send));
        let mut received = Vec::new();
        let mut buffer = vec![0; 65_536];
        poll_fn(|cx| {
            let mut flushed = false;
            loop {
                let mut progress = false;
                if !queue.is_empty() {
                    progress |= self.link.poll_write(cx, channel, &mut queue)?.is_ready();
                } else if !flushed {
                    flushed = self.link.poll_flush(cx, channel)?.is_ready();
                }
                if received.len() < receive {
                    let mut slots = [IoSliceMut::new(&mut buffer)];
                    if let Poll::Ready(count) = self.link.poll_read(cx, channel, &mut slots)? {
                        assert!(count > 0, "closed after {} of {receive} bytes", received.len());
                        received.extend_from_slice(&buffer[..count]);
                        progress = true;
                    }
                }
                if queue.is_empty() && flushed && received.len() >= receive {
                    return Poll::Ready(io::Result::Ok(()));
                } else if !progress {
                    return Poll::Pending;
                }
            }
        })
        .await
        .unwrap();
        received
    }

    pub async fn close(&mut self) {
        poll_fn(|cx| self.link.poll_close(cx)).await.unwrap();
    }
}

/// Bytes that differ from place to place and from `seed` to `seed`.
pub fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251 + seed * 97).to_le_bytes()[0]).collect()
}
