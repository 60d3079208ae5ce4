//! The least that the same work costs without dx: raw tokio, tokio-rustls and quinn.
//!
//! A floor sends the same bytes between two threads placed like dx's two ends, and does nothing
//! else: no checks, no acknowledgements, no lanes. Small messages are framed with a length and
//! written 64 KiB at a time, and the receiver only parses the lengths.

mod certificate;
mod frames;
mod quic;
mod socket;
mod stream;
mod tcp;
mod tls;
mod work;

use self::socket::Sockets;
use self::stream::StreamFloor;
use crate::bench::subject::Subject;
use crate::bench::transport::TransportName;

/// The floor of `transport`, with dx's own settings of sockets and of quinn; `None` where there
/// is nothing below dx: memory.
///
/// # Errors
/// If a certificate cannot be made.
pub fn of(transport: TransportName) -> anyhow::Result<Option<Box<dyn Subject>>> {
    with(transport, Sockets::LikeDx, quic::Settings::LikeDx)
}

/// The same with the settings that the kernel and quinn come with: what dx's own gain or cost.
///
/// # Errors
/// If a certificate cannot be made.
pub fn untouched(transport: TransportName) -> anyhow::Result<Option<Box<dyn Subject>>> {
    with(transport, Sockets::Untouched, quic::Settings::Untouched)
}

fn with(
    transport: TransportName,
    sockets: Sockets,
    settings: quic::Settings,
) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(match transport {
        TransportName::Tcp => Some(Box::new(StreamFloor::new(tcp::Plain, sockets))),
        TransportName::Tls => Some(Box::new(StreamFloor::new(tls::Tls::new()?, sockets))),
        TransportName::Quic => Some(Box::new(quic::QuicFloor::new(settings)?)),
        TransportName::Memory => None,
    })
}
