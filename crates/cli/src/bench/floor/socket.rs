//! Sockets for the floors, set as dx sets its own or left as the kernel makes them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How a floor's sockets are set. Nagle's algorithm is off in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// As dx's tcp and tls transports do on loopback: little that is unsent in the kernel, and a
    /// small receive buffer, for the sake of what has priority.
    LikeDx,
    /// With buffers that the kernel grows as it likes.
    Untouched,
}

// As the constants of the same names in dx's transports; a test compares them.
const LOOPBACK_UNSENT_BYTES: u32 = 64 * 1024;
const LOOPBACK_RECEIVE_BYTES: usize = 128 * 1024;

impl Sockets {
    /// Before a socket connects: the receive buffer decides what is negotiated.
    fn set(self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        if self == Self::LikeDx {
            socket.set_tcp_notsent_lowat(LOOPBACK_UNSENT_BYTES)?;
            socket.set_recv_buffer_size(LOOPBACK_RECEIVE_BYTES)?;
        }
        Ok(())
    }

    /// Connects to `address`.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        self.set(&SockRef::from(&socket))?;
        socket.connect(address).await
    }

    /// Accepts the one connection that `listener` is there for.
    pub async fn accept(self, listener: std::net::TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::from_std(listener)?.accept().await?;
        self.set(&SockRef::from(&stream))?;
        Ok(stream)
    }
}

/// A listener on loopback that any runtime may take over.
pub fn listen() -> anyhow::Result<(SocketAddr, std::net::TcpListener)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("failed to listen on 127.0.0.1")?;
    listener.set_nonblocking(true)?;
    Ok((listener.local_addr()?, listener))
}
