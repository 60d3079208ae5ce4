//! QUIC's knobs, each with its reason.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig,
    VarInt,
};

use crate::identity::NodeIdentity;
use crate::limits;
use crate::transport::{ALPN, CreateError};

/// Bytes that the peer may send on one stream ahead of this end's reads. quinn's default, made
/// for 100 Mbit/s x 100 ms, is a tenth of it.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;

/// The same within this host, where buffers take the place of the wire: what a bulk stream has
/// under way is what a control message has to wait for. Enough for full speed (measured).
const LOOPBACK_STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for all streams together: what a peer can make us hold.
const RECEIVE_WINDOW: u32 = 64 * 1024 * 1024;

/// Bytes that were written and are not acknowledged, over all streams. As many as the replay
/// bounds of all lanes together by default: bulk meets its own bound first, and so never takes
/// the room of the control lane.
const SEND_WINDOW: u64 = (limits::MAX_LANES * limits::REPLAY_BYTES) as u64;

/// UDP payload of a packet within this host. The kernel sends ten packets at once in a buffer of
/// 64 KiB; the larger each of them, the fewer calls.
pub const LOOPBACK_PACKET: u16 = 6000;

/// A silent link sends a packet after this time, so that the peer, and the routers between, know
/// that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// A link without any packet from the peer breaks after this time, in milliseconds. Longer than
/// the failure detector, which decides.
const IDLE_MS: u32 = 20_000;

/// The round trip that is assumed before the first is measured: that of a region, not of the
/// Earth, so that a lost first packet is soon sent again.
const INITIAL_RTT: Duration = Duration::from_millis(10);

/// The peer acknowledges every so many packets,
const ACK_PACKETS: u32 = 10;

/// or after this time. Acknowledging every second packet, the default, costs as much as sending.
const ACK_DELAY: Duration = Duration::from_millis(5);

/// Bytes of received datagrams that nobody has read; beyond, the oldest are dropped.
const DATAGRAM_BUFFER: usize = 1024 * 1024;

/// Connections that wait to be accepted, and what each of them may send meanwhile, in bytes.
const MAX_INCOMING: (usize, u64) = (1024, 64 * 1024);

/// The configurations of all connections, by whether the peer is within this host.
pub struct Configs {
    client: ClientConfig,
    server: ServerConfig,
    loopback: Arc<TransportConfig>,
    network: Arc<TransportConfig>,
}

impl Configs {
    pub fn new(identity: &NodeIdentity) -> Result<Self, CreateError> {
        let (client, server) = crypto(identity)
            .map_err(|reason| CreateError::Credentials { transport: "quic", reason })?;
        let client = ClientConfig::new(Arc::new(client));
        let mut server = ServerConfig::with_crypto(Arc::new(server));
        server
            .max_incoming(MAX_INCOMING.0)
            .incoming_buffer_size(MAX_INCOMING.1)
            .incoming_buffer_size_total(MAX_INCOMING.0 as u64 * MAX_INCOMING.1);
        let mut loopback = transport();
        loopback
            .initial_mtu(LOOPBACK_PACKET)
            .mtu_discovery_config(None)
            .stream_receive_window(VarInt::from_u32(LOOPBACK_STREAM_WINDOW));
        let (loopback, network) = (Arc::new(loopback), Arc::new(transport()));
        Ok(Self { client, server, loopback, network })
    }

    pub fn client(&self, peer: IpAddr) -> ClientConfig {
        let mut config = self.client.clone();
        config.transport_config(self.path(peer));
        config
    }

    pub fn server(&self, peer: IpAddr) -> Arc<ServerConfig> {
        let mut config = self.server.clone();
        config.transport_config(self.path(peer));
        Arc::new(config)
    }

    /// For an endpoint, before it is known who connects.
    pub fn any_server(&self) -> ServerConfig {
        self.server.clone()
    }

    fn path(&self, peer: IpAddr) -> Arc<TransportConfig> {
        if peer.to_canonical().is_loopback() { self.loopback.clone() } else { self.network.clone() }
    }
}

fn crypto(identity: &NodeIdentity) -> Result<(QuicClientConfig, QuicServerConfig), String> {
    let mut client = identity.tls_client().map_err(|error| error.to_string())?;
    let mut server = identity.tls_server().map_err(|error| error.to_string())?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    server.alpn_protocols = vec![ALPN.to_vec()];
    let client = QuicClientConfig::try_from(client).map_err(|error| error.to_string())?;
    let server = QuicServerConfig::try_from(server).map_err(|error| error.to_string())?;
    Ok((client, server))
}

fn transport() -> TransportConfig {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_PACKETS)).max_ack_delay(Some(ACK_DELAY));
    let streams = VarInt::try_from(limits::MAX_LANES).expect("lanes are a handful");
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(streams)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .initial_rtt(INITIAL_RTT)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .ack_frequency_config(Some(acks))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER);
    config
}

pub fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(LOOPBACK_PACKET).expect("QUIC allows 1200 to 65527 bytes");
    config
}
