//! A transport under test, and nodes that use it.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::identity::Authority;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig, Peer, PeerEvent};
use dx_transport::secret::ClusterSecret;
use dx_transport::transport::{self, Transport};

use super::fragile::Cables;

/// A test that hangs has failed.
const HANG: Duration = Duration::from_mins(2);
const DAY: Duration = Duration::from_hours(24);

/// Makes the transport of a node with these credentials.
type Make = dyn Fn(&Credentials) -> Arc<dyn Transport>;

/// The transport under test.
pub struct Subject {
    pub name: &'static str,
    make: Box<Make>,
    endpoint: fn() -> String,
}

impl Subject {
    /// A built-in transport.
    pub fn named(name: &'static str) -> Self {
        let endpoint = if name == "memory" { unique_name } else { any_port };
        Self::new(name, endpoint, move |credentials| transport::create(name, credentials).unwrap())
    }

    /// Any transport. `endpoint` gives one that nobody has.
    pub fn new(
        name: &'static str,
        endpoint: fn() -> String,
        make: impl Fn(&Credentials) -> Arc<dyn Transport> + 'static,
    ) -> Self {
        Self { name, make: Box::new(make), endpoint }
    }

    /// Whether nodes prove who they are by certificates.
    pub fn has_certificates(&self) -> bool {
        matches!(self.name, "tls" | "quic")
    }

    pub fn address(&self) -> Address {
        Address::new(self.name, &(self.endpoint)()).unwrap()
    }

    pub fn transport(&self, credentials: &Credentials) -> Arc<dyn Transport> {
        (self.make)(credentials)
    }

    /// Node `node` in its `life`th incarnation, listening.
    pub fn config(&self, node: u32, life: u64) -> MeshConfig {
        self.config_with(node, life, credentials(node))
    }

    pub fn config_with(&self, node: u32, life: u64, credentials: Credentials) -> MeshConfig {
        let transport = self.transport(&credentials);
        let cluster = "conformance".parse().unwrap();
        MeshConfig::new(cluster, NodeId(node), Incarnation(life), credentials)
            .transport(transport)
            .listen(self.address())
    }

    /// The same, over links that break on command.
    pub fn fragile(&self, node: u32) -> (MeshConfig, Cables) {
        let credentials = credentials(node);
        let cables = Cables::default();
        let fragile = cables.wrap(self.transport(&credentials));
        (self.config_with(node, 1, credentials).transport(fragile), cables)
    }

    /// Two nodes that know each other and are up.
    pub async fn pair(&self) -> (Mesh, Mesh) {
        let one = start(self.config(1, 1)).await;
        let two = start(self.config(2, 1)).await;
        introduce(&one, &two);
        up(&one, 2).await;
        up(&two, 1).await;
        (one, two)
    }
}

pub fn any_port() -> String {
    "127.0.0.1:0".to_owned()
}

pub fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("conformance-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What node `node` of the cluster has.
pub fn credentials(node: u32) -> Credentials {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| Authority::create().unwrap());
    let identity = authority.issue(NodeId(node), DAY).unwrap();
    let secret = ClusterSecret::new(vec![7; 32]).unwrap();
    Credentials { identity: Some(identity), secret: Some(secret) }
}

/// What a node of another authority with another secret has.
pub fn foreign_credentials(node: u32) -> Credentials {
    let identity = Authority::create().unwrap().issue(NodeId(node), DAY).unwrap();
    let secret = ClusterSecret::new(vec![8; 32]).unwrap();
    Credentials { identity: Some(identity), secret: Some(secret) }
}

pub async fn start(config: MeshConfig) -> Mesh {
    Mesh::start(config).await.unwrap()
}

/// Tells both where the other one is.
pub fn introduce(one: &Mesh, two: &Mesh) {
    one.add_peer(two.node(), two.endpoints().to_vec()).unwrap();
    two.add_peer(one.node(), one.endpoints().to_vec()).unwrap();
}

/// Waits for what must come.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("nothing came of it")
}

/// The next event that `pick` picks; others are dropped.
pub async fn event<T>(mesh: &Mesh, mut pick: impl FnMut(PeerEvent) -> Option<T>) -> T {
    soon(async {
        loop {
            if let Some(picked) = pick(mesh.event().await) {
                return picked;
            }
        }
    })
    .await
}

/// Waits until `node` is up; returns whether the session was resumed.
pub async fn up(mesh: &Mesh, node: u32) -> bool {
    event(mesh, |event| match event {
        PeerEvent::Up { peer, resumed, .. } if peer.0 == node => Some(resumed),
        _ => None,
    })
    .await
}

/// Events that nobody has taken.
pub fn events(mesh: &Mesh) -> Vec<PeerEvent> {
    std::iter::from_fn(|| mesh.try_event()).collect()
}

pub fn peer(mesh: &Mesh, node: u32) -> Peer {
    mesh.peer(NodeId(node)).unwrap()
}

/// The `number`th message on a lane: its number, then bytes that follow from it.
pub fn message(number: u64, len: usize) -> Bytes {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..len.max(8)).map(|index| (number as usize * 31 + index) as u8));
    bytes.into()
}

/// Sends messages `range` with lengths that `len` gives.
pub async fn send(
    mesh: &Mesh,
    to: u32,
    lane: Lane,
    range: std::ops::Range<u64>,
    len: impl Fn(u64) -> usize,
) {
    let peer = peer(mesh, to);
    for number in range {
        peer.send_bytes(lane, message(number, len(number))).await.unwrap();
    }
}

/// Receives exactly the messages `range`, each once, in order and unharmed.
pub async fn expect(
    mesh: &Mesh,
    lane: Lane,
    range: std::ops::Range<u64>,
    len: impl Fn(u64) -> usize,
) {
    let mut next = range.start;
    while next < range.end {
        for received in &soon(mesh.recv(lane)).await {
            let expected = message(next, len(next));
            assert!(
                *received == *expected,
                "{lane}: message {next} of {} bytes is not the one of {} bytes that came",
                expected.len(),
                received.len()
            );
            next += 1;
        }
    }
    assert_eq!(next, range.end, "{lane}: more came than was sent");
}
