//! Learning that nobody listens at a UDP port.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

/// Sends one meaningless byte to `address`, which a QUIC endpoint ignores, and is ready if the
/// host answers that nobody listens there; otherwise never.
///
/// TCP says so by itself. For UDP the kernel tells it only to a socket that is connected to the
/// address, and an endpoint's is not.
pub async fn refusal(address: SocketAddr) -> io::Error {
    match probe(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => error,
        // No answer, or another problem, is for the handshake to find.
        _ => pending().await,
    }
}

async fn probe(address: SocketAddr) -> io::Result<()> {
    let local: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(address).await?;
    socket.send(&[0]).await?;
    socket.recv(&mut [0]).await?;
    Ok(())
}
