//! Links over plain TCP: one byte stream, nothing proven and nothing encrypted.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::socket::{self, Linger, MAX_SLICES, SocketListener};
use super::tcp_info;
use super::{BindError, BoxFuture, DialError, Link, LinkStats, Listener, PeerProof, Transport};
use crate::id::NodeId;
use crate::session::SendQueue;

/// Plain TCP, for one host or a network that nobody else can reach. An endpoint is `host:port`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let upgrade = Arc::new(|stream: TcpStream| -> BoxFuture<'static, _> {
                Box::pin(async move { Ok(Box::new(TcpLink::new(stream)) as Box<dyn Link>) })
            });
            let listener = SocketListener::bind("tcp", endpoint, upgrade).await?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        _peer: NodeId,
        _lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            let stream = socket::connect("tcp", endpoint).await?;
            Ok(Box::new(TcpLink::new(stream)) as Box<dyn Link>)
        })
    }
}

struct TcpLink {
    stream: TcpStream,
    /// Set once our side is closed.
    closing: Option<Linger>,
}

impl TcpLink {
    fn new(stream: TcpStream) -> Self {
        Self { stream, closing: None }
    }
}

impl Link for TcpLink {
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
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = queue.fill(&mut slices);
        let stream = Pin::new(&mut self.stream);
        let written = ready!(stream.poll_write_vectored(cx, &slices[..filled]))?;
        queue.advance(written);
        Poll::Ready(Ok(written))
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
        if let [slot] = slots {
            // A short read tells tokio that the socket is empty; the vectored one below needs
            // another system call to learn that.
            let mut buffer = ReadBuf::new(slot);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            return Poll::Ready(Ok(buffer.filled().len()));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_vectored(slots) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.closing.get_or_insert_default().poll(cx, &self.stream)
    }

    fn stats(&self) -> LinkStats {
        tcp_info::path(&self.stream)
    }
}
