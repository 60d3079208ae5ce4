//! Which addresses are this machine's.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use dx_transport::address::Address;

/// Whether `address` is one of this machine's. A name that cannot be resolved is not.
pub fn is_local(address: &Address) -> bool {
    let resolved = address.endpoint().to_socket_addrs();
    resolved.is_ok_and(|mut found| found.any(|found| is_own(found.ip())))
}

/// Only an address of one's own can be bound.
fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_a_documentation_address_is_not() {
        for (address, expected) in [
            ("tls://127.0.0.1:7001", true),
            ("tls://[::1]:7001", true),
            ("tls://localhost:7001", true),
            ("tls://192.0.2.1:7001", false),
            ("tls://no-such-host.invalid:7001", false),
        ] {
            assert_eq!(is_local(&address.parse().unwrap()), expected, "{address}");
        }
    }
}
