//! Where clients come in: the local user by the socket, others by TCP.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

/// Where clients come in.
pub enum Door {
    /// The control socket. Who comes in is known by the kernel's word.
    Unix(UnixListener),
    /// TCP. Who comes in is known by what each request says.
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// Somebody who came in.
pub enum Visitor {
    Unix(UnixStream),
    Tcp(TcpStream, Option<TlsAcceptor>),
}

/// A connection by which requests come.
pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

impl Door {
    pub async fn accept(&self) -> io::Result<Visitor> {
        Ok(match self {
            Self::Unix(listener) => Visitor::Unix(listener.accept().await?.0),
            Self::Tcp(listener, tls) => Visitor::Tcp(listener.accept().await?.0, tls.clone()),
        })
    }
}

impl Visitor {
    /// The uid of the process at the other end, where that can be known.
    pub fn user(&self) -> Option<u32> {
        match self {
            Self::Unix(stream) => stream.peer_cred().ok().map(|peer| peer.uid()),
            Self::Tcp(..) => None,
        }
    }

    /// Whether it may ask anything at all: by the socket, the user who runs the node, and root.
    pub fn is_allowed(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        match self {
            Self::Unix(_) => self.user().is_some_and(|user| user == own || user == 0),
            Self::Tcp(..) => true,
        }
    }

    /// The stream of bytes, once who asks and who answers understand each other; `None` if they
    /// do not `within` the time.
    pub async fn open(self, within: Duration) -> Option<Box<dyn Stream>> {
        match self {
            Self::Unix(stream) => Some(Box::new(stream)),
            Self::Tcp(stream, tls) => {
                // What fails here fails at the next write, too.
                let _ = stream.set_nodelay(true);
                let Some(tls) = tls else { return Some(Box::new(stream)) };
                match tokio::time::timeout(within, tls.accept(stream)).await.ok()? {
                    Ok(stream) => Some(Box::new(stream)),
                    Err(error) => {
                        tracing::debug!("a client spoke no TLS: {error}");
                        None
                    }
                }
            }
        }
    }
}
