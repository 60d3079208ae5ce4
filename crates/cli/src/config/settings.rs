//! What can be set of the mesh between the nodes.

mod jobs;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{forms, units};

pub use jobs::{JobsTable, OfferTable};

/// When a link is silent, a session over and an acknowledgement due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// A link that has sent nothing for this long sends a ping. Costs two frames each time.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1h"))]
    pub ping_interval: Duration,
    /// A link on which nothing was heard for this long is broken. At least twice `ping_interval`.
    /// Shorter finds dead peers sooner, and takes more slow ones for dead. Time during which the
    /// process itself did not run is not counted.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "2ms", "x-greatest" = "1h"))]
    pub silence: Duration,
    /// A session without a link for this long ends, and what was under way may be lost. Longer
    /// keeps what was sent for a peer that is away, up to the lanes' bounds.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "24h"))]
    pub session_ttl: Duration,
    /// An acknowledgement waits at most this long for more to acknowledge. Shorter costs frames,
    /// longer costs the sender's memory.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "10s"))]
    pub ack_delay: Duration,
}

/// When a node dials its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dialing {
    /// The shortest delay between attempts to reach a peer; delays are random, from zero up.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1h"))]
    pub backoff_min: Duration,
    /// The longest delay, and so about the time until a peer that was away is found again. At
    /// least `backoff_min`. Shorter costs attempts for as long as a peer is away.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "24h"))]
    pub backoff_max: Duration,
    /// A link that lived this long forgives earlier failures.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "24h"))]
    pub stable_after: Duration,
    /// How long the smaller of two nodes waits for the greater one to dial. Longer means fewer
    /// duplicate links when many nodes start at once; shorter a faster start where only the
    /// smaller can reach the greater.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "1h"))]
    pub grace: Duration,
    /// An address that has not answered for this long is joined by the peer's next one.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1h"))]
    pub next_address: Duration,
    /// Attempts of a node that may begin within `next_address` and have no answer yet. Each costs
    /// a socket and a handshake.
    #[schemars(range(min = 1, max = 1024))]
    pub concurrent: usize,
}

/// What others may make a node hold or do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Connections that have not proven who they are; further ones are closed at once. Each costs
    /// a socket and a handshake's memory.
    #[schemars(range(min = 1, max = 65_536))]
    pub pending_handshakes: usize,
    /// Time for a handshake, that of tls or quic included; a slower one is given up.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "10ms", "x-greatest" = "10min"))]
    pub handshake_timeout: Duration,
    /// Connections per second from one address (one /64 of IPv6).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_second: u32,
    /// Connections from one address that may come at once. Must cover the peers on one host.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connection_burst: u32,
    /// Addresses that are remembered for these limits. Each costs about 64 bytes.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub tracked_addresses: usize,
    /// Peers of a node. Each costs its lanes' bounds at worst.
    #[schemars(range(min = 1, max = 65_536))]
    pub peers: usize,
    /// Events that wait for the application; older ones give way.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub events: usize,
    /// Datagrams that wait for the application or for the link; older ones give way.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub datagrams: usize,
    /// Bytes of unused receive buffers that are kept for the next read.
    #[serde(with = "units::size")]
    #[schemars(schema_with = "forms::size", extend("x-least" = "0B", "x-greatest" = "1GiB"))]
    pub pooled_bytes: usize,
}

impl Default for Timing {
    fn default() -> Self {
        let dx_transport::session::Timing { ping_interval, silence, session_ttl, ack_delay } =
            dx_transport::session::Timing::default();
        Self { ping_interval, silence, session_ttl, ack_delay }
    }
}

impl From<Timing> for dx_transport::session::Timing {
    fn from(timing: Timing) -> Self {
        let Timing { ping_interval, silence, session_ttl, ack_delay } = timing;
        Self { ping_interval, silence, session_ttl, ack_delay }
    }
}

impl Default for Dialing {
    fn default() -> Self {
        let defaults = dx_transport::mesh::Dialing::default();
        Self {
            backoff_min: defaults.backoff_min,
            backoff_max: defaults.backoff_max,
            stable_after: defaults.stable_after,
            grace: defaults.grace,
            next_address: defaults.next_address,
            concurrent: defaults.concurrent,
        }
    }
}

impl From<Dialing> for dx_transport::mesh::Dialing {
    fn from(dialing: Dialing) -> Self {
        Self {
            backoff_min: dialing.backoff_min,
            backoff_max: dialing.backoff_max,
            stable_after: dialing.stable_after,
            grace: dialing.grace,
            next_address: dialing.next_address,
            concurrent: dialing.concurrent,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        let defaults = dx_transport::mesh::Bounds::default();
        Self {
            pending_handshakes: defaults.pending_handshakes,
            handshake_timeout: defaults.handshake_timeout,
            connections_per_second: defaults.connections_per_second,
            connection_burst: defaults.connection_burst,
            tracked_addresses: defaults.tracked_addresses,
            peers: defaults.peers,
            events: defaults.events,
            datagrams: defaults.datagrams,
            pooled_bytes: defaults.pooled_bytes,
        }
    }
}

impl From<Bounds> for dx_transport::mesh::Bounds {
    fn from(bounds: Bounds) -> Self {
        Self {
            pending_handshakes: bounds.pending_handshakes,
            handshake_timeout: bounds.handshake_timeout,
            connections_per_second: bounds.connections_per_second,
            connection_burst: bounds.connection_burst,
            tracked_addresses: bounds.tracked_addresses,
            peers: bounds.peers,
            events: bounds.events,
            datagrams: bounds.datagrams,
            pooled_bytes: bounds.pooled_bytes,
        }
    }
}
