//! Nodes to test with.

use std::future::Future;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::{Heard, Port, RuntimeConfig};
use dx_agents::{AgentId, AgentSpec, Directory, Incarnation, NodeId, Options, Registry};
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::identity::Authority;
use dx_transport::mesh::MeshConfig;
use dx_transport::secret::ClusterSecret;

use crate::kinds::{Say, registry};

/// A test that hangs has failed.
pub const HANG: Duration = Duration::from_secs(40);

/// Where agent 10 * node + n lives: with its node.
pub fn spec(id: u64, kind: &str) -> AgentSpec {
    AgentSpec {
        id: AgentId(id),
        kind: kind.to_owned(),
        node: NodeId(u32::try_from(id / 10).unwrap()),
        attr: serde_json::Value::Null,
        options: Options::default(),
    }
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
        "memory" => format!("agents-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        _ => "127.0.0.1:0".to_owned(),
    };
    Address::new(transport, &endpoint).unwrap()
}

/// Node `node` in its `life`th life, among the agents `specs`.
pub fn config(transport: &str, node: u32, life: u64, specs: &[AgentSpec]) -> NodeConfig {
    let cluster = "test".parse().unwrap();
    let mesh = MeshConfig::new(cluster, NodeId(node), Incarnation(life), credentials(node));
    let directory = Arc::new(Directory::new(specs.iter().cloned()));
    NodeConfig {
        mesh: mesh.listen(address(transport)),
        runtime: RuntimeConfig { directory, pool: 1, crew: 1, ..RuntimeConfig::default() },
        peers: Vec::new(),
    }
}

/// A mesh like a node's, for whoever speaks its protocol by hand.
pub fn bare(node: u32) -> MeshConfig {
    config("memory", node, 1, &[]).mesh
}

pub fn start(config: NodeConfig) -> Node {
    Node::start(config, &registry().0).unwrap()
}

/// Nodes 1 and 2 with the agents `specs`, both up.
pub fn pair(transport: &str, specs: &[AgentSpec]) -> (Node, Node) {
    pair_with(transport, specs, &registry().0)
}

/// The same with other kinds.
pub fn pair_with(transport: &str, specs: &[AgentSpec], kinds: &Registry) -> (Node, Node) {
    let mut one = config(transport, 1, 1, specs);
    one.peers = vec![(NodeId(2), Vec::new())];
    let one = Node::start(one, kinds).unwrap();
    let mut two = config(transport, 2, 1, specs);
    two.peers = vec![(NodeId(1), one.endpoints().to_vec())];
    let two = Node::start(two, kinds).unwrap();
    soon(async {
        one.ready().await;
        two.ready().await;
    });
    (one, two)
}

/// Waits for what must come.
pub fn soon<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(HANG, future).await.expect("nothing came of it") })
}

/// What comes next to a port.
pub fn heard(port: &Port) -> Heard {
    port.recv_within(HANG).expect("nothing came")
}

/// The message that comes next to a port.
pub fn said(port: &Port) -> (AgentId, Say) {
    match heard(port) {
        Heard::Message(message) => (message.from(), message.open().unwrap()),
        other => panic!("{other:?} is no message"),
    }
}

pub const ALL: [&str; 4] = ["memory", "tcp", "tls", "quic"];
