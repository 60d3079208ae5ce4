//! What a mesh is told at its start.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::credentials::Credentials;
use crate::id::{ClusterId, Incarnation, NodeId};
use crate::lane::LaneConfig;
use crate::limits;
use crate::linking::Dialing;
use crate::mesh::runtime::Io;
use crate::session::Timing;
use crate::transport::Transport;

/// Everything a mesh needs to know. Only the arguments of [`MeshConfig::new`] have no default.
#[derive(Clone)]
pub struct MeshConfig {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) credentials: Credentials,
    pub(crate) listen: Vec<Address>,
    pub(crate) lanes: Vec<LaneConfig>,
    pub(crate) timing: Timing,
    pub(crate) dialing: Dialing,
    pub(crate) bounds: Bounds,
    pub(crate) io: Io,
    pub(crate) transports: Vec<Arc<dyn Transport>>,
    pub(crate) accept_unknown: bool,
    pub(crate) insecure: bool,
}

impl MeshConfig {
    /// A mesh of `cluster` for `node`, which proves itself with `credentials`.
    ///
    /// `incarnation` must be greater than in any earlier life of the node
    /// ([`Incarnation::after`]): peers reject an older one.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        node: NodeId,
        incarnation: Incarnation,
        credentials: Credentials,
    ) -> Self {
        Self {
            cluster,
            node,
            incarnation,
            credentials,
            listen: Vec::new(),
            lanes: LaneConfig::defaults(),
            timing: Timing::default(),
            dialing: Dialing::default(),
            bounds: Bounds::default(),
            io: Io::default(),
            transports: Vec::new(),
            accept_unknown: false,
            insecure: false,
        }
    }

    /// Also listens at `address`; port 0 takes any free port. Without an address the mesh only
    /// dials.
    #[must_use]
    pub fn listen(mut self, address: Address) -> Self {
        self.listen.push(address);
        self
    }

    /// The lanes, 1 to [`MAX_LANES`](limits::MAX_LANES), the same on all nodes. Default:
    /// [`LaneConfig::defaults`]. Each lane costs memory per peer; see [`LaneConfig`].
    #[must_use]
    pub fn lanes(mut self, lanes: Vec<LaneConfig>) -> Self {
        self.lanes = lanes;
        self
    }

    /// When a link is silent, a session over and an acknowledgement due. See [`Timing`].
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// When to dial. See [`Dialing`].
    #[must_use]
    pub fn dialing(mut self, dialing: Dialing) -> Self {
        self.dialing = dialing;
        self
    }

    /// What others may make this mesh hold. See [`Bounds`].
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// On which runtime to do I/O. See [`Io`].
    #[must_use]
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Adds a transport of the embedder's own. It takes the place of one of the same name, built
    /// in or added before.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.retain(|known| known.name() != transport.name());
        self.transports.push(transport);
        self
    }

    /// Whether plain tcp may leave this host. There it is neither encrypted nor does it prove which
    /// node talks, only that it holds the cluster's secret; the mesh warns at its start. Default:
    /// no.
    #[must_use]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Whether nodes that were not added may connect, if they prove that they belong to the
    /// cluster. They are added without an address. Default: no.
    #[must_use]
    pub fn accept_unknown(mut self, accept: bool) -> Self {
        self.accept_unknown = accept;
        self
    }
}

impl std::fmt::Debug for MeshConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshConfig")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("incarnation", &self.incarnation)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// What others may make this mesh hold or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that have not proven who they are. When there are more, one of the address
    /// (the /64 of IPv6) with the most of them is closed: the oldest if another address calls, else
    /// the new one. Default: 128.
    pub pending_handshakes: usize,
    /// Time for a handshake, the transport's own included. Default: 5 s.
    pub handshake_timeout: Duration,
    /// Connections per second from one address (one /64 of IPv6). Default: 64.
    pub connections_per_second: u32,
    /// Connections from one address that may come at once. Must cover the peers that live on one
    /// host. Default: 256.
    pub connection_burst: u32,
    /// Addresses that are remembered for these limits, about 64 bytes each. Default: 4096.
    pub tracked_addresses: usize,
    /// Peers, added or accepted; each costs its lanes' bounds at worst. Default: 1024.
    pub peers: usize,
    /// Events that wait for the application; older ones give way. Default: 1024.
    pub events: usize,
    /// Datagrams that wait for the application or for the link; older ones give way. Default:
    /// 256.
    pub datagrams: usize,
    /// Bytes of unused receive buffers that are kept for the next read. Default: 16 MiB.
    pub pooled_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            pending_handshakes: 128,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            connections_per_second: 64,
            connection_burst: 256,
            tracked_addresses: 4096,
            peers: 1024,
            events: 1024,
            datagrams: 256,
            pooled_bytes: 16 * 1024 * 1024,
        }
    }
}
