//! Node meshes: every node talks to every other, over TCP, TLS, QUIC or memory, with the same
//! semantics over each.
//!
//! Messages travel in *lanes*. Per peer and lane they arrive in order and exactly once for as
//! long as the *session* lives, whatever happens to the links under it: a broken link is resumed
//! over the next one, over another transport if need be. When a session does end, because a node
//! restarted or was away for too long, both sides are told what may be missing.
//!
//! ```text
//! Mesh       peers, dialing, tie-break, events, queues          one task per peer
//!   Session  numbers, acks, replay, credits, fragments          sans-IO, the same for all
//!     Link   bytes on one or several channels                   tcp, tls, quic, memory, yours
//! ```
//!
//! What it is not: a membership service, a broker, or an RPC framework. Peers are those that you
//! add; a message is bytes.
//!
//! ```
//! # #[cfg(feature = "tcp")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use dx_transport::credentials::Credentials;
//! use dx_transport::id::{Incarnation, NodeId};
//! use dx_transport::lane::Lane;
//! use dx_transport::mesh::{Mesh, MeshConfig};
//! use dx_transport::secret::ClusterSecret;
//!
//! // Plain tcp proves the cluster's secret; tls and quic want certificates instead.
//! let credentials =
//!     Credentials { secret: Some(ClusterSecret::generate()?), ..Credentials::default() };
//! let start = async |node, life| {
//!     let cluster = "example".parse().expect("a cluster name");
//!     let config = MeshConfig::new(cluster, NodeId(node), Incarnation(life), credentials.clone());
//!     Mesh::start(config.listen("tcp://127.0.0.1:0".parse().expect("an address"))).await
//! };
//! let one = start(1, 1).await?;
//! let two = start(2, 1).await?;
//! two.add_peer(NodeId(1), vec![])?; // it will call
//! let peer = one.add_peer(NodeId(2), two.endpoints().to_vec())?;
//!
//! peer.send(Lane::DATA, b"hello").await?; // accepted; sent as soon as there is a link
//! let batch = two.recv(Lane::DATA).await;
//! for message in &batch {
//!     assert_eq!((batch.peer(), &*message), (NodeId(1), &b"hello"[..]));
//! }
//! one.drain(std::time::Duration::from_secs(5)).await;
//! # Ok(()) }) }
//! # #[cfg(not(feature = "tcp"))]
//! # fn main() {}
//! ```
//!
//! Start with [`mesh::Mesh`], [`mesh::PeerEvent`] and [`lane::LaneConfig`]. To drive the protocol
//! yourself, in a simulator or over pipes of your own, read [`session`] and [`linking`]; they and the
//! codec are all that is left without features. To add a transport, read [`transport`].

pub mod address;
pub mod batch;
pub mod buffer;
pub mod codec;
pub mod credentials;
pub mod frame;
pub mod handshake;
pub mod hello;
pub mod id;
#[cfg(feature = "identity")]
pub mod identity;
pub mod lane;
pub mod limits;
pub mod linking;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod outbox;
#[cfg(feature = "mesh")]
mod patience;
mod private_file;
mod proof;
pub mod secret;
pub mod session;
pub mod time;
#[cfg(feature = "mesh")]
pub mod transport;

pub use batch::{Batch, Message};
pub use proof::PeerProof;
