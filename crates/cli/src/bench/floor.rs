//! The least that the same work costs without dx: raw tokio, tokio-rustls and quinn.
//!
//! A floor sends the same bytes between two threads placed like dx's two ends, and does nothing
//! else: no checks, no acknowledgements, no lanes. Small messages are framed with a length and
//! written 64 KiB at a time, and the receiver only parses the lengths.

mod certificate;
mod frames;
mod quic;
mod stream;
mod tcp;
mod tls;
mod work;

use crate::bench::subject::Subject;
use crate::bench::transport::TransportName;

/// The floor of `transport`, or `None` where there is nothing below dx: memory.
///
/// # Errors
/// If a certificate cannot be made.
pub fn of(transport: TransportName) -> anyhow::Result<Option<Box<dyn Subject>>> {
    Ok(match transport {
        TransportName::Tcp => Some(Box::new(stream::StreamFloor::new(tcp::Plain))),
        TransportName::Tls => Some(Box::new(stream::StreamFloor::new(tls::Tls::new()?))),
        TransportName::Quic => Some(Box::new(quic::QuicFloor::tuned()?)),
        TransportName::Memory => None,
    })
}

/// quinn with the settings it comes with, to tell tuning from overhead.
///
/// # Errors
/// If a certificate cannot be made.
pub fn quinn_by_default() -> anyhow::Result<Box<dyn Subject>> {
    Ok(Box::new(quic::QuicFloor::by_default()?))
}
