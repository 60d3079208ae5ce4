//! Links over Unix domain sockets: for nodes of one host that may not open ports.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{
    BindError, BoxFuture, DialError, Incoming, Link, Listener, MustProve, PeerProof, Transport,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

/// An endpoint is the path of the socket's file. Nothing is proven about who connects, so nodes
/// prove to each other that they know the cluster secret.
pub struct Unix;

impl Transport for Unix {
    fn name(&self) -> &'static str {
        "unix"
    }

    fn bind<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let endpoint = path.to_owned();
            match UnixListener::bind(path) {
                Ok(socket) => Ok(Box::new(SocketFile(socket, endpoint)) as Box<dyn Listener>),
                Err(source) => Err(BindError::Io { transport: "unix", endpoint, source }),
            }
        })
    }

    fn dial<'a>(
        &'a self,
        path: &'a str,
        _peer: NodeId,
        _lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            UnixStream::connect(path).await.map(link).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    DialError::Refused(format!("unix://{path}"))
                }
                _ => error.into(),
            })
        })
    }
}

/// A socket that listens, and the path of its file.
struct SocketFile(UnixListener, String);

impl Listener for SocketFile {
    fn endpoint(&self) -> String {
        self.1.clone()
    }

    fn accept<'a>(
        &'a mut self,
        _must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, _) = self.0.accept().await?;
            Ok(Incoming::new(None, |_| async { Ok(link(stream)) }))
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If the file is gone already, all the better.
        let _ = std::fs::remove_file(&self.1);
    }
}

fn link(stream: UnixStream) -> Box<dyn Link> {
    Box::new(UnixLink(stream))
}

struct UnixLink(UnixStream);

impl Link for UnixLink {
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
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = queue.fill(&mut slices);
        let written = ready!(Pin::new(&mut self.0).poll_write_vectored(cx, &slices[..filled]))?;
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
        let mut buffer = ReadBuf::new(&mut slots[0]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
