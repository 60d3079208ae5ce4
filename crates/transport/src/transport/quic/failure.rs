//! QUIC's errors in the words of all transports.

use std::io;
use std::net::SocketAddr;

use quinn::{ConnectionError, ReadError, TransportErrorCode, WriteError};
use rustls::AlertDescription;

use crate::limits;
use crate::transport::{DialError, refusal};

/// Application error code of a link that was closed after everything was delivered.
pub const CLOSED: u32 = 0;

/// Application error code of a link that was dropped.
pub const DROPPED: u32 = 1;

/// Why no link came about with `address`.
pub fn handshake(address: SocketAddr, error: &ConnectionError) -> DialError {
    let failed = |reason: String| DialError::Handshake { transport: "quic", reason };
    certificate(error).unwrap_or_else(|| match error {
        ConnectionError::TimedOut => DialError::Timeout(address.to_string()),
        ConnectionError::Reset => lost(error).into(),
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            failed("the peer does not accept connections now".to_owned())
        }
        error => failed(printable(error)),
    })
}

/// What TLS has to say, if that is what broke the connection: QUIC carries its alerts as error
/// codes.
fn certificate(error: &ConnectionError) -> Option<DialError> {
    match error {
        ConnectionError::TransportError(error) => {
            Some(refusal::by_us("quic", alert(error.code)?, &error.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            Some(refusal::by_peer("quic", alert(close.error_code)?))
        }
        _ => None,
    }
}

fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    // RFC 9001, section 4.8.
    let alert = u64::from(code).checked_sub(0x100)?;
    Some(u8::try_from(alert).ok()?.into())
}

/// Why a link cannot be read any more.
pub fn read(error: ReadError) -> io::Error {
    match error {
        ReadError::ConnectionLost(error) => lost(&error),
        ReadError::Reset(_) => io::ErrorKind::ConnectionReset.into(),
        error => io::Error::new(io::ErrorKind::NotConnected, error),
    }
}

/// Why a link cannot be written to any more.
pub fn write(error: WriteError) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => lost(&error),
        WriteError::Stopped(_) => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::new(io::ErrorKind::NotConnected, error),
    }
}

/// Why a link broke.
pub fn lost(error: &ConnectionError) -> io::Error {
    if let Some(refused) = certificate(error) {
        return io::Error::new(io::ErrorKind::PermissionDenied, refused);
    }
    let kind = match error {
        ConnectionError::TimedOut => io::ErrorKind::TimedOut,
        ConnectionError::Reset | ConnectionError::ApplicationClosed(_) => {
            io::ErrorKind::ConnectionReset
        }
        ConnectionError::LocallyClosed => io::ErrorKind::NotConnected,
        _ => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, printable(error))
}

/// The error as text. The peer, who may be anybody, has words of its own in it.
fn printable(error: &ConnectionError) -> String {
    error.to_string().escape_debug().take(limits::MAX_REASON).collect()
}

/// Whether the peer closed the link after everything was delivered.
pub fn is_end(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == CLOSED.into())
}
