//! Learning that nobody listens at a UDP port.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Sends a meaningless byte to `address` now and then, which a QUIC endpoint ignores, and is ready
/// once the host answers that nobody listens there; otherwise never.
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
    loop {
        socket.send(&[0]).await?;
        // One answer may be lost, or held back by the host's limit for such answers.
        if let Ok(answer) = timeout(PROBE_EVERY, socket.recv(&mut [0])).await {
            return answer.map(drop);
        }
    }
}

/// How long an answer is waited for before it is asked for again: a host answers at once or not.
const PROBE_EVERY: Duration = Duration::from_millis(250);
