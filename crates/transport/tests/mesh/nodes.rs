//! Nodes to test with.

use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::identity::Authority;
use dx_transport::mesh::{Mesh, MeshConfig, PeerEvent};
use dx_transport::secret::ClusterSecret;

/// A test that hangs has failed.
const HANG: Duration = Duration::from_mins(1);

/// Node `node`, in the incarnation of the same number.
pub fn config(node: u32) -> MeshConfig {
    life(node, u64::from(node))
}

/// Node `node` in the given incarnation.
pub fn life(node: u32, incarnation: u64) -> MeshConfig {
    let cluster = "test".parse().unwrap();
    MeshConfig::new(cluster, NodeId(node), Incarnation(incarnation), credentials(node))
}

/// What node `node` proves itself with, over any transport.
pub fn credentials(node: u32) -> Credentials {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::create().unwrap());
    let identity = AUTHORITY.issue(NodeId(node), Duration::from_hours(1)).unwrap();
    let secret = ClusterSecret::new(vec![0x6b; 32]).unwrap();
    Credentials { secret: Some(secret), identity: Some(identity) }
}

/// An address of `transport` that nobody else in this process has.
pub fn address(transport: &str) -> Address {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let endpoint = match transport {
        "memory" => format!("mesh-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        _ => "127.0.0.1:0".to_owned(),
    };
    Address::new(transport, &endpoint).unwrap()
}

pub async fn start(config: MeshConfig) -> Mesh {
    Mesh::start(config).await.unwrap()
}

/// Nodes 1 and 2, each listening over `transport`, and node 1 knowing where node 2 is.
pub async fn pair(transport: &str) -> (Mesh, Mesh) {
    let one = start(config(1).listen(address(transport))).await;
    let two = start(config(2).listen(address(transport))).await;
    introduce(&one, &two);
    (one, two)
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
pub async fn event<T>(mesh: &Mesh, mut pick: impl FnMut(&PeerEvent) -> Option<T>) -> T {
    soon(async {
        loop {
            let event = mesh.event().await;
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    })
    .await
}

/// Waits for `Up` of `node`; returns whether the session was resumed.
pub async fn up(mesh: &Mesh, node: u32) -> bool {
    event(mesh, |event| match event {
        PeerEvent::Up { peer, resumed, .. } if peer.0 == node => Some(*resumed),
        _ => None,
    })
    .await
}

/// All events until nothing is left.
pub fn events(mesh: &Mesh) -> Vec<PeerEvent> {
    std::iter::from_fn(|| mesh.try_event()).collect()
}
