//! Links over TLS 1.3 on TCP: one byte stream, both ends proven by certificates.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::socket::{self, Linger, MAX_SLICES, SocketListener};
use super::{
    BindError, BoxFuture, CreateError, DialError, Link, LinkStats, Listener, PeerProof, Transport,
    refusal, tcp_info,
};
use crate::id::NodeId;
use crate::identity::{self, NodeIdentity};
use crate::session::SendQueue;

/// Encrypted bytes that wait for the socket, at most. A control message waits behind them, and
/// bulk gains nothing from more.
const SEND_BUFFER: usize = 64 * 1024;

/// Encrypted bytes that are read from the socket at once. By itself, rustls reads 4 KiB with
/// each system call.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// TLS 1.3 over TCP. An endpoint is `host:port`.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// TLS as `identity`.
    ///
    /// # Errors
    /// If the cryptography cannot be set up with it.
    pub fn new(identity: &NodeIdentity) -> Result<Self, CreateError> {
        let failed = |error: rustls::Error| CreateError::Credentials {
            transport: "tls",
            reason: error.to_string(),
        };
        let mut client = identity.tls_client().map_err(failed)?;
        let mut server = identity.tls_server().map_err(failed)?;
        client.alpn_protocols = vec![super::ALPN.to_vec()];
        server.alpn_protocols = vec![super::ALPN.to_vec()];
        Ok(Self { connector: Arc::new(client).into(), acceptor: Arc::new(server).into() })
    }
}

impl Transport for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let acceptor = self.acceptor.clone();
            let upgrade = Arc::new(move |stream: TcpStream| -> BoxFuture<'static, _> {
                let acceptor = acceptor.clone();
                Box::pin(async move {
                    let accepted = acceptor.accept(buffered(stream)).await.map_err(failure)?;
                    Ok(Box::new(TlsLink::new(accepted.into())) as Box<dyn Link>)
                })
            });
            let listener = SocketListener::bind("tls", endpoint, upgrade).await?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        _lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            let stream = buffered(socket::connect("tls", endpoint).await?);
            let name = identity::server_name(peer);
            let connected = self.connector.connect(name, stream).await.map_err(failure)?;
            Ok(Box::new(TlsLink::new(connected.into())) as Box<dyn Link>)
        })
    }
}

fn buffered(stream: TcpStream) -> BufReader<TcpStream> {
    BufReader::with_capacity(RECEIVE_BUFFER, stream)
}

/// The error of a handshake: what TLS says, or else the socket.
fn failure(error: io::Error) -> DialError {
    match tls_error(&error) {
        Some(tls) => refusal::explain("tls", tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => DialError::Handshake {
            transport: "tls",
            reason: "the peer closed the connection meanwhile".to_owned(),
        },
        None => error.into(),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// An error of an established link. The peer judges our certificate after we have judged its
/// own, so its refusal comes with the first read.
fn link_error(error: io::Error) -> io::Error {
    match tls_error(&error) {
        Some(tls) => io::Error::new(io::ErrorKind::PermissionDenied, refusal::explain("tls", tls)),
        None => error,
    }
}

struct TlsLink {
    stream: TlsStream<BufReader<TcpStream>>,
    /// Why writing failed, while it is not yet known whether the peer told the reason.
    failed_write: Option<io::Error>,
    /// Set once our side is closed.
    closing: Option<Linger>,
}

impl TlsLink {
    fn new(mut stream: TlsStream<BufReader<TcpStream>>) -> Self {
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(SEND_BUFFER)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(SEND_BUFFER)),
        }
        Self { stream, failed_write: None, closing: None }
    }

    /// Reports a failed write, with the reason if the peer told one: it lies unread behind the
    /// socket's error.
    fn poll_failed_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        error: io::Error,
    ) -> Poll<io::Result<T>> {
        let mut last_words = [0; 1024];
        let mut buffer = ReadBuf::new(&mut last_words);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Err(reason)) if tls_error(&reason).is_some() => {
                Poll::Ready(Err(link_error(reason)))
            }
            Poll::Ready(_) => Poll::Ready(Err(error)),
            // A broken socket is soon readable: so says the kernel, if not yet the runtime.
            Poll::Pending => {
                self.failed_write = Some(error);
                Poll::Pending
            }
        }
    }
}

impl Link for TlsLink {
    fn channels(&self) -> usize {
        1
    }

    fn peer(&self) -> PeerProof {
        let chain = self.stream.get_ref().1.peer_certificates();
        // Both sides' verifiers demand a certificate before a handshake ends.
        let leaf = chain.expect("a TLS link has its peer's certificate")[0].clone();
        PeerProof::certificate(leaf)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        _channel: usize,
        queue: &mut SendQueue,
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed_write.take() {
            return self.poll_failed_write(cx, error);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = queue.fill(&mut slices);
        let stream = Pin::new(&mut self.stream);
        match ready!(stream.poll_write_vectored(cx, &slices[..filled])) {
            Ok(written) => {
                queue.advance(written);
                Poll::Ready(Ok(written))
            }
            Err(error) => self.poll_failed_write(cx, error),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, _channel: usize) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed_write.take() {
            return self.poll_failed_write(cx, error);
        }
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Err(error) => self.poll_failed_write(cx, error),
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        _channel: usize,
        slots: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        for slot in slots {
            let mut buffer = ReadBuf::new(slot);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => total += buffer.filled().len(),
                // What was read before counts; the next call meets the end or the error again.
                _ if total > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(link_error(error))),
                Poll::Pending => return Poll::Pending,
            }
            if buffer.remaining() > 0 {
                break;
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx)).map_err(link_error)?;
        }
        self.closing.get_or_insert_default().poll(cx, self.stream.get_ref().0.get_ref())
    }

    fn stats(&self) -> LinkStats {
        tcp_info::path(self.stream.get_ref().0.get_ref())
    }
}
