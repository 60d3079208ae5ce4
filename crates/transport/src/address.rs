//! Where a node is reached: `tls://127.0.0.1:7001`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A transport by name, and an endpoint in that transport's own terms.
///
/// Written `transport://endpoint`: `tcp://host:port`, `tls://127.0.0.1:7001`,
/// `quic://[::1]:7001`, `memory://name`. Whether there is a transport of that name, and whether
/// it understands the endpoint, shows when the transport is created and used: an embedder's own
/// transports have addresses, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    transport: String,
    endpoint: String,
}

/// Longest address that is accepted, in bytes: a DNS name has at most 253.
pub const MAX_ADDRESS: usize = 320;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// There is no `://`.
    #[error("`{0}` does not say over which transport: write `tls://{0}`, for example")]
    NoTransport(String),
    /// What stands before `://` cannot be the name of a transport.
    #[error("`{0}` is not the name of a transport: these have lower-case letters and digits only")]
    TransportName(String),
    /// Nothing stands after `://`.
    #[error("`{0}` lacks the endpoint: write `{0}127.0.0.1:7001`, for example")]
    NoEndpoint(String),
    /// The endpoint has spaces or control characters.
    #[error("`{0}` has a space or a control character in it")]
    Character(String),
    /// It is longer than [`MAX_ADDRESS`].
    #[error("an address of {0} bytes is too long: at most {MAX_ADDRESS} are allowed")]
    TooLong(usize),
}

impl Address {
    /// The address of `endpoint` over `transport`.
    ///
    /// # Errors
    /// If one of them is empty or has characters that it must not have.
    pub fn new(transport: &str, endpoint: &str) -> Result<Self, InvalidAddress> {
        let address = Self { transport: transport.to_owned(), endpoint: endpoint.to_owned() };
        let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let length = transport.len() + "://".len() + endpoint.len();
        if length > MAX_ADDRESS {
            Err(InvalidAddress::TooLong(length))
        } else if transport.is_empty() || !transport.chars().all(name) {
            Err(InvalidAddress::TransportName(transport.escape_debug().to_string()))
        } else if endpoint.is_empty() {
            Err(InvalidAddress::NoEndpoint(address.to_string()))
        } else if endpoint.contains(|c: char| c.is_whitespace() || c.is_control()) {
            Err(InvalidAddress::Character(endpoint.escape_debug().to_string()))
        } else {
            Ok(address)
        }
    }

    /// The transport's name: what stands before `://`.
    #[must_use]
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// The endpoint: what stands after `://`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether what goes there is neither encrypted nor sure to stay within this host: plain tcp
    /// to anything but a loopback address or `localhost`.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let host = self.endpoint.rsplit_once(':').map_or(&*self.endpoint, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_local = host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        self.transport == "tcp" && !is_local
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.len() > MAX_ADDRESS {
            return Err(InvalidAddress::TooLong(text.len()));
        }
        let (transport, endpoint) = text
            .split_once("://")
            .ok_or_else(|| InvalidAddress::NoTransport(text.escape_debug().to_string()))?;
        Self::new(transport, endpoint)
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport, self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        for text in ["tls://127.0.0.1:7001", "quic://[::1]:7001", "tcp://host:80", "memory://a"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn an_address_names_its_transport_and_its_endpoint() {
        let address: Address = "quic://[::1]:7001".parse().unwrap();
        assert_eq!((address.transport(), address.endpoint()), ("quic", "[::1]:7001"));
    }

    #[test]
    fn what_is_wrong_is_said_without_control_characters() {
        for text in ["\x1b[2J", "\x1b[2J://a", "tls://\x1b[2J"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let parse = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(parse("host:1"), InvalidAddress::NoTransport("host:1".into()));
        assert_eq!(parse("TLS://host:1"), InvalidAddress::TransportName("TLS".into()));
        assert_eq!(parse("://host:1"), InvalidAddress::TransportName(String::new()));
        assert_eq!(parse("tls://"), InvalidAddress::NoEndpoint("tls://".into()));
        assert_eq!(parse("tls://a b"), InvalidAddress::Character("a b".into()));
        assert_eq!(parse(&"a".repeat(321)), InvalidAddress::TooLong(321));
    }

    #[test]
    fn plain_tcp_beyond_loopback_is_exposed() {
        let exposed = |address: &str| address.parse::<Address>().unwrap().is_exposed();
        for address in
            ["tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://[::]:1", "tcp://example.org:1"]
        {
            assert!(exposed(address), "{address}");
        }
        for address in
            ["tcp://127.0.0.9:1", "tcp://[::1]:1", "tcp://localhost:1", "tls://0.0.0.0:1"]
        {
            assert!(!exposed(address), "{address}");
        }
    }
}
