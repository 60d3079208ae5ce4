//! UDP sockets and the QUIC endpoints on them.

mod release;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use quinn::{
    ClientConfig, ConnectError, Connecting, Endpoint, Runtime, ServerConfig, TokioRuntime,
};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::config;
use crate::transport::DialError;
use release::Released;

/// What the kernel holds for a socket in each direction, in bytes. Its default of 208 KiB is
/// less than a hundred packets of a local peer: a moment's stall drops some.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// The endpoints of one transport. Those that listen are also dialed from.
#[derive(Default)]
pub struct Endpoints(Mutex<State>);

#[derive(Default)]
struct State {
    listening: Vec<Endpoint>,
    /// For dialing where none of the listening ones can: IPv4 and IPv6.
    dialing: [Option<Endpoint>; 2],
}

/// An endpoint that listens until this is dropped. Its links live on.
pub struct BoundEndpoint {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    endpoints: Arc<Endpoints>,
    released: Option<Released>,
}

impl Endpoints {
    /// Listens at `address`.
    pub async fn bind(
        self: &Arc<Self>,
        address: SocketAddr,
        config: ServerConfig,
    ) -> io::Result<BoundEndpoint> {
        let (endpoint, released) = match create(address, Some(config.clone())) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                release::wait(address).await;
                create(address, Some(config))?
            }
            created => created?,
        };
        let address = endpoint.local_addr()?;
        self.lock().listening.push(endpoint.clone());
        Ok(BoundEndpoint { endpoint, address, endpoints: self.clone(), released: Some(released) })
    }

    /// Dials `address`.
    pub fn connect(
        &self,
        config: ClientConfig,
        address: SocketAddr,
        name: &str,
    ) -> Result<Connecting, DialError> {
        let connecting = self.dialing(address)?.connect_with(config.clone(), address, name);
        let connecting = match connecting {
            // The runtime that drove the endpoint is gone; this one will have its own.
            Err(ConnectError::EndpointStopping) => {
                self.forget(address);
                self.dialing(address)?.connect_with(config, address, name)
            }
            connecting => connecting,
        };
        connecting.map_err(|error| match error {
            ConnectError::InvalidRemoteAddress(_) => DialError::Unreachable(address.to_string()),
            error => DialError::Handshake { transport: "quic", reason: error.to_string() },
        })
    }

    /// An endpoint from which `address` can be dialed.
    fn dialing(&self, address: SocketAddr) -> io::Result<Endpoint> {
        let mut state = self.lock();
        if let Some(endpoint) = state.listening.iter().find(|endpoint| reaches(endpoint, address)) {
            return Ok(endpoint.clone());
        }
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let slot = &mut state.dialing[usize::from(address.is_ipv6())];
        if let Some(endpoint) = slot {
            return Ok(endpoint.clone());
        }
        let (endpoint, _) = create(any, None)?;
        Ok(slot.insert(endpoint).clone())
    }

    /// Drops what would be dialed from to `address`.
    fn forget(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.listening.retain(|endpoint| !reaches(endpoint, address));
        state.dialing[usize::from(address.is_ipv6())] = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Lists of endpoints are whole after any panic, as each change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BoundEndpoint {
    fn drop(&mut self) {
        let ours = |endpoint: &Endpoint| endpoint.local_addr().ok() == Some(self.address);
        self.endpoints.lock().listening.retain(|endpoint| !ours(endpoint));
        // Who dials now is turned away; links that stand are not touched.
        self.endpoint.set_server_config(None);
        if let Some(released) = self.released.take() {
            release::retire(self.address, released);
        }
    }
}

/// Whether packets to `address` can leave from the endpoint's own: same family, and both within
/// this host or both not.
fn reaches(endpoint: &Endpoint, address: SocketAddr) -> bool {
    endpoint.local_addr().is_ok_and(|local| {
        local.is_ipv4() == address.is_ipv4()
            && (local.ip().is_unspecified()
                || local.ip().is_loopback() == address.ip().is_loopback())
    })
}

/// An endpoint, and the news that its socket is closed.
fn create(address: SocketAddr, config: Option<ServerConfig>) -> io::Result<(Endpoint, Released)> {
    let socket = TokioRuntime.wrap_udp_socket(bind_socket(address)?)?;
    let (socket, released) = release::track(socket);
    let runtime = Arc::new(TokioRuntime);
    let endpoint = Endpoint::new_with_abstract_socket(config::endpoint(), config, socket, runtime)?;
    Ok((endpoint, released))
}

fn bind_socket(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    warn_if_clamped(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The kernel grants less than was asked without an error. Once is enough to say so.
fn warn_if_clamped(socket: &Socket) -> io::Result<()> {
    static ONCE: Once = Once::new();
    // It reports the double of what it grants, half of which it needs itself.
    let (receive, send) = (socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2);
    if receive.min(send) < SOCKET_BUFFER {
        ONCE.call_once(|| {
            warn!(
                receive,
                send,
                wanted = SOCKET_BUFFER,
                "the kernel limits UDP buffers, which costs QUIC speed: \
                 raise net.core.rmem_max and net.core.wmem_max"
            );
        });
    }
    Ok(())
}
