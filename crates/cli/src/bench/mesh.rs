//! dx itself as a subject: meshes, started as an application would start them.

pub mod pair;
mod probe;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::{ClusterId, Incarnation, NodeId};
use dx_transport::identity::Authority;
use dx_transport::mesh::{Mesh, MeshConfig, PeerEvent};
use dx_transport::secret::ClusterSecret;
use dx_transport::transport;

pub use self::pair::Pair;
pub use self::probe::{Gauge, Probe};
use crate::bench::end::End;
use crate::bench::subject::Subject;
use crate::bench::transport::TransportName;

/// A mesh that is not up within this time never will be; 64 nodes with QUIC's handshakes on two
/// busy cores take a third of it.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Validity of the certificates: longer than any bench.
const LIFETIME: Duration = Duration::from_hours(24);

/// Two connected nodes over `transport`.
///
/// # Errors
/// If they cannot be started or do not connect.
pub async fn subject(transport: TransportName) -> anyhow::Result<Box<dyn Subject>> {
    Ok(Box::new(Pair::start(transport).await?))
}

/// What the nodes of one cluster share.
pub struct Cluster {
    name: ClusterId,
    authority: Authority,
    secret: ClusterSecret,
}

impl Cluster {
    /// A new cluster with keys of its own.
    ///
    /// # Errors
    /// If the keys cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            name: "bench".parse().context("a fixed name")?,
            authority: Authority::create()?,
            secret: ClusterSecret::generate()?,
        })
    }

    /// The configuration of a node that runs on `end` and listens there over `transport`.
    ///
    /// # Errors
    /// If it gets no certificate.
    pub fn node(
        &self,
        node: NodeId,
        transport: TransportName,
        end: &End,
    ) -> anyhow::Result<MeshConfig> {
        self.node_at(node, transport, end.address())
    }

    /// The configuration of a node that listens at `address` over `transport`.
    ///
    /// # Errors
    /// If it gets no certificate.
    pub fn node_at(
        &self,
        node: NodeId,
        transport: TransportName,
        address: IpAddr,
    ) -> anyhow::Result<MeshConfig> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).context("the clock is beyond all years")?;
        let incarnation = Incarnation::after(0, now_ms);
        let credentials = self.credentials(node)?;
        let config = MeshConfig::new(self.name.clone(), node, incarnation, credentials);
        // The laboratory's hosts are not this one's loopback, and nobody else is there.
        Ok(config.listen(any_port(transport, address)?).insecure(true))
    }

    /// The same with a probe around its transport.
    ///
    /// # Errors
    /// If it gets no certificate, or the transport cannot use it.
    pub fn probed_node(
        &self,
        node: NodeId,
        transport: TransportName,
        end: &End,
        gauge: &Gauge,
    ) -> anyhow::Result<MeshConfig> {
        let inner = transport::create(transport.name(), &self.credentials(node)?)?;
        let probe = Arc::new(Probe::new(inner, gauge.clone()));
        Ok(self.node(node, transport, end)?.transport(probe))
    }

    fn credentials(&self, node: NodeId) -> anyhow::Result<Credentials> {
        let identity = Some(self.authority.issue(node, LIFETIME)?);
        Ok(Credentials { identity, secret: Some(self.secret.clone()) })
    }
}

/// An address at which nobody listens yet.
fn any_port(transport: TransportName, address: IpAddr) -> anyhow::Result<Address> {
    static MEMORY_NAMES: AtomicU64 = AtomicU64::new(0);
    let endpoint = match transport {
        TransportName::Memory => {
            format!("bench-{}", MEMORY_NAMES.fetch_add(1, Ordering::Relaxed))
        }
        _ => SocketAddr::new(address, 0).to_string(),
    };
    Ok(Address::new(transport.name(), &endpoint)?)
}

/// Waits until `mesh` has been up with `peers` peers.
///
/// # Errors
/// If time is up; the last refusal is named.
pub async fn wait_until_up(mesh: &Mesh, peers: usize) -> anyhow::Result<()> {
    let mut refusal = None;
    let up = async {
        let mut seen = 0;
        while seen < peers {
            match mesh.event().await {
                PeerEvent::Up { .. } => seen += 1,
                PeerEvent::Refused { address, error, .. } => {
                    refusal = Some(format!("{address}: {error}"));
                }
                _ => {}
            }
        }
    };
    if tokio::time::timeout(START_LIMIT, up).await.is_ok() {
        return Ok(());
    }
    let why = refusal.unwrap_or_else(|| "nobody answered".to_owned());
    bail!("{} was not up within {START_LIMIT:?}: {why}", mesh.node())
}
