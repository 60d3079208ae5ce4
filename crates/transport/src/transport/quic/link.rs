//! One connection with its streams.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, RecvStream, SendDatagramError, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::failure;
use crate::session::SendQueue;
use crate::transport::{BoxFuture, DialError, Link, LinkStats, PeerProof};

/// How long a closing end waits for the peer to acknowledge what was written last.
const LINGER: Duration = Duration::from_secs(2);

/// A connection with one stream per lane in each direction. The index of a stream, in the order
/// in which it was opened, is its channel.
pub struct QuicLink {
    connection: Connection,
    outgoing: Vec<SendStream>,
    /// As many as the peer is known to have opened so far.
    incoming: Vec<RecvStream>,
    opening: Option<BoxFuture<'static, Result<RecvStream, ConnectionError>>>,
    datagram: Option<BoxFuture<'static, Result<Bytes, ConnectionError>>>,
    closing: Option<BoxFuture<'static, ()>>,
}

impl QuicLink {
    /// Opens the streams of a new connection.
    pub async fn open(connection: Connection, lanes: usize) -> Result<Box<dyn Link>, DialError> {
        let mut outgoing = Vec::with_capacity(lanes);
        for channel in 0..lanes {
            let stream = connection.open_uni().await;
            let stream = stream.map_err(|e| failure::handshake(connection.remote_address(), &e))?;
            // Control goes before all others. These take turns, packet by packet: otherwise one
            // with much to send would keep the rest waiting.
            let priority = i32::from(channel == 0);
            stream.set_priority(priority).expect("a stream that was just opened is open");
            outgoing.push(stream);
        }
        Ok(Box::new(Self {
            connection,
            outgoing,
            incoming: Vec::with_capacity(lanes),
            opening: None,
            datagram: None,
            closing: None,
        }))
    }

    /// Waits until the peer has opened `channel`: it does with the first byte.
    fn poll_opened(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
    ) -> Poll<Result<&mut RecvStream, ConnectionError>> {
        while self.incoming.len() <= channel {
            let connection = self.connection.clone();
            let opening = self
                .opening
                .get_or_insert_with(|| Box::pin(async move { connection.accept_uni().await }));
            let opened = ready!(opening.as_mut().poll(cx));
            self.opening = None;
            self.incoming.push(opened?);
        }
        Poll::Ready(Ok(&mut self.incoming[channel]))
    }
}

impl Link for QuicLink {
    fn channels(&self) -> usize {
        self.outgoing.len()
    }

    fn peer(&self) -> PeerProof {
        let identity = self.connection.peer_identity();
        // Both sides' verifiers demand a certificate before a handshake ends.
        let chain = identity
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .expect("a QUIC link has its peer's certificate");
        PeerProof::certificate(chain[0].clone())
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.outgoing[channel];
        // The future holds no state of its own: dropped while pending, it has written nothing.
        let (count, written) =
            queue.consume(|segments| pin!(stream.write_chunks(segments)).poll(cx));
        match ready!(written) {
            Ok(_) => Poll::Ready(Ok(count)),
            Err(error) => Poll::Ready(Err(failure::write(error))),
        }
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>, _channel: usize) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = match ready!(self.poll_opened(cx, channel)) {
            Ok(stream) => stream,
            Err(error) if failure::is_end(&error) => return Poll::Ready(Ok(0)),
            Err(error) => return Poll::Ready(Err(failure::lost(&error))),
        };
        let mut total = 0;
        for slot in slots {
            let count = match stream.poll_read(cx, slot) {
                Poll::Ready(Ok(count)) => count,
                // What was read before counts; the next call meets the error again.
                Poll::Pending if total == 0 => return Poll::Pending,
                Poll::Ready(Err(error)) if total == 0 => {
                    return Poll::Ready(Err(failure::read(error)));
                }
                _ => break,
            };
            total += count;
            if count < slot.len() {
                break;
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closing = self.closing.get_or_insert_with(|| {
            let stopped: Vec<_> = self.outgoing.iter_mut().filter_map(finish).collect();
            let connection = self.connection.clone();
            Box::pin(async move {
                let all = async {
                    for stream in stopped {
                        // An error means that the connection is gone already.
                        let _ = stream.await;
                    }
                };
                let _ = timeout(LINGER, all).await;
                connection.close(failure::CLOSED.into(), b"");
            })
        });
        ready!(closing.as_mut().poll(cx));
        self.closing = Some(Box::pin(std::future::ready(())));
        Poll::Ready(Ok(()))
    }

    fn max_datagram(&self) -> Option<usize> {
        self.connection.max_datagram_size()
    }

    fn send_datagram(&mut self, datagram: Bytes) -> io::Result<()> {
        self.connection.send_datagram(datagram).map_err(|error| match error {
            SendDatagramError::ConnectionLost(error) => failure::lost(&error),
            SendDatagramError::TooLarge => io::Error::new(io::ErrorKind::InvalidInput, error),
            error => io::Error::new(io::ErrorKind::Unsupported, error),
        })
    }

    fn poll_datagram(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let connection = self.connection.clone();
        let datagram = self
            .datagram
            .get_or_insert_with(|| Box::pin(async move { connection.read_datagram().await }));
        let received = ready!(datagram.as_mut().poll(cx));
        self.datagram = None;
        Poll::Ready(received.map_err(|error| failure::lost(&error)))
    }

    fn stats(&self) -> LinkStats {
        let path = self.connection.stats().path;
        LinkStats {
            rtt_us: u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX),
            retransmits: path.lost_packets,
            congestion_window: path.cwnd,
        }
    }
}

impl Drop for QuicLink {
    fn drop(&mut self) {
        // No more than a repetition if it was closed before.
        self.connection.close(failure::DROPPED.into(), b"");
    }
}

/// Ends a stream; the future tells when the peer has everything.
fn finish(
    stream: &mut SendStream,
) -> Option<impl Future<Output = Result<Option<quinn::VarInt>, quinn::StoppedError>> + use<>> {
    stream.finish().ok()?;
    Some(stream.stopped())
}
