//! Ports at which nobody listens.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Too few ports are free.
#[derive(Debug, thiserror::Error)]
#[error("only {found} of {wanted} free ports were found from {FIRST} to {LAST}: {last}")]
pub struct NoPorts {
    found: usize,
    wanted: usize,
    last: io::Error,
}

/// The first port that is tried, above those of well-known services.
const FIRST: u16 = 10_000;

/// The last: the kernel gives higher ones to connections that go out, at any moment.
const LAST: u16 = 32_000;

/// `count` ports of loopback that are free now, for tcp and udp. Another program may take one
/// before it is used; so many are there that this is rare, and then it is told.
///
/// # Errors
/// If there are not so many.
pub fn free(count: usize) -> Result<Vec<u16>, NoPorts> {
    let span = usize::from(LAST - FIRST) + 1;
    // Those who look at the same time begin in different places.
    let begin = getrandom::u32().unwrap_or_else(|_| std::process::id()) as usize % span;
    let (mut found, mut held) = (Vec::new(), Vec::new());
    let mut last = io::ErrorKind::AddrInUse.into();
    for step in 0..span {
        if found.len() == count {
            break;
        }
        let port = FIRST + u16::try_from((begin + step) % span).expect("the span is one of ports");
        match take(port) {
            Ok(sockets) => {
                held.push(sockets);
                found.push(port);
            }
            Err(error) => last = error,
        }
    }
    if found.len() == count {
        Ok(found)
    } else {
        Err(NoPorts { found: found.len(), wanted: count, last })
    }
}

fn take(port: u16) -> io::Result<(TcpListener, UdpSocket)> {
    let at = (Ipv4Addr::LOCALHOST, port);
    Ok((TcpListener::bind(at)?, UdpSocket::bind(at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_bound() {
        let ports = free(64).unwrap();
        let held: Vec<_> = ports.iter().map(|port| take(*port).unwrap()).collect();
        assert_eq!(held.len(), 64);
    }
}
