//! Endpoints that are a host and a port, for the transports over the internet protocols.

use std::io;
use std::net::SocketAddr;

use super::{BindError, DialError};

/// An endpoint in which there is no host and port, or a host that has no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("write host:port, for example 127.0.0.1:7001 or [::1]:7001")]
    Form,
    #[error("`{0}` is not a port: 0 to 65535 are")]
    Port(String),
    #[error("the host name `{host}` has no address: {reason}")]
    Unknown { host: String, reason: String },
}

impl ResolveError {
    pub fn on_bind(&self, transport: &'static str, endpoint: &str) -> BindError {
        let (endpoint, reason) = (endpoint.to_owned(), self.to_string());
        BindError::Endpoint { transport, endpoint, reason }
    }

    pub fn on_dial(&self, transport: &'static str, endpoint: &str) -> DialError {
        let (endpoint, reason) = (endpoint.to_owned(), self.to_string());
        DialError::Endpoint { transport, endpoint, reason }
    }
}

/// All addresses of `endpoint`, at least one.
pub(super) async fn resolve(endpoint: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Ok(address) = endpoint.parse() {
        return Ok(vec![address]);
    }
    let (host, port) = endpoint.rsplit_once(':').ok_or(ResolveError::Form)?;
    if host.is_empty() || host.contains(['[', ']', ':', '/']) {
        return Err(ResolveError::Form);
    }
    let port: u16 = port.parse().map_err(|_| ResolveError::Port(port.to_owned()))?;
    let unknown = |reason: String| ResolveError::Unknown { host: host.to_owned(), reason };
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = found.map_err(|error| unknown(error.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(unknown("the resolver knows none".to_owned()));
    }
    Ok(addresses)
}

/// Says why listening at `endpoint` failed.
pub(super) fn bind_error(transport: &'static str, endpoint: &str, source: io::Error) -> BindError {
    let endpoint = endpoint.to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { transport, endpoint },
        io::ErrorKind::AddrNotAvailable => BindError::Endpoint {
            transport,
            endpoint,
            reason: "no network interface of this host has that address".to_owned(),
        },
        _ => BindError::Io { transport, endpoint, source },
    }
}

/// Says why `address` could not be reached.
pub(super) fn dial_error(address: SocketAddr, error: io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused(address.to_string()),
        io::ErrorKind::TimedOut => DialError::Timeout(address.to_string()),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => DialError::Unreachable(address.to_string()),
        _ => error.into(),
    }
}

/// Of the errors from a peer's addresses, the one to report: a node counts as refusing only if
/// all its addresses do.
pub(super) fn worst(errors: Vec<DialError>) -> DialError {
    errors
        .into_iter()
        .reduce(|worst, next| if worst.is_refusal() { next } else { worst })
        .expect("a resolved endpoint has at least one address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_host_and_port_is_refused_without_a_lookup() {
        for endpoint in ["", "7001", ":7001", "::1:7001", "[::1]", "[::1:7001", "host", "a/b:1"] {
            let error = resolve(endpoint).await.unwrap_err();
            assert!(matches!(error, ResolveError::Form), "{endpoint}: {error}");
        }
        let error = resolve("localhost:70000").await.unwrap_err();
        assert!(matches!(error, ResolveError::Port(_)), "{error}");
    }

    #[tokio::test]
    async fn addresses_and_names_are_resolved() {
        assert_eq!(resolve("[::1]:7").await.unwrap(), ["[::1]:7".parse().unwrap()]);
        assert!(resolve("localhost:7").await.unwrap().iter().all(|a| a.ip().is_loopback()));
    }

    #[test]
    fn a_node_refuses_only_if_all_its_addresses_do() {
        let refused = || DialError::Refused("a".into());
        assert!(worst(vec![refused(), refused()]).is_refusal());
        assert!(!worst(vec![refused(), DialError::Timeout("b".into()), refused()]).is_refusal());
    }
}
