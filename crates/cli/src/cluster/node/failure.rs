//! Why a node did not start.

use std::io;

use dx_agents::NodeId;
use dx_agents::mesh::StartNodeError;
use dx_transport::address::Address;
use dx_transport::mesh::StartError as MeshError;
use dx_transport::transport::BindError as ListenError;
use tokio::runtime::Runtime;

use super::blame;
use crate::config;
use crate::control::{BindError, OpenError};
use crate::home::{ClusterError, Home, NodeError};

/// Why a node did not start. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster has no such node.
    #[error("the cluster has no node of id {0}")]
    NoSuchNode(NodeId),
    /// The cluster's folder cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Its own folder cannot, or another process runs it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It has no control socket.
    #[error(transparent)]
    Control(#[from] BindError),
    /// Somebody else listens where it should.
    #[error("port {} is taken ({address}): {holder}", port(.address))]
    Taken {
        /// Where.
        address: Address,
        /// Who, if it is known, and what to do.
        holder: String,
    },
    /// It cannot answer the job API where it should.
    #[error(transparent)]
    Gateway(#[from] OpenError),
    /// Its mesh or its agents do not start.
    #[error(transparent)]
    Mesh(StartNodeError),
    /// The operating system gives no threads.
    #[error("no runtime could be started: {0}")]
    Runtime(io::Error),
}

impl StartError {
    /// Whether trying again can help, without anybody changing anything.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Runtime(_))
    }
}

/// Says why the mesh did not start; of a port that is taken, by whom.
pub fn of_mesh(
    error: StartNodeError,
    cluster: &config::Cluster,
    home: &Home,
    runtime: &Runtime,
) -> StartError {
    let StartNodeError::Mesh(MeshError::Bind(ListenError::InUse { transport, endpoint })) = &error
    else {
        return StartError::Mesh(error);
    };
    let Ok(address) = Address::new(transport, endpoint) else { return StartError::Mesh(error) };
    let holder = match runtime.block_on(blame::holder(home, &address)) {
        Some(about) => format!(
            "node {} of cluster {} listens there (pid {}): stop it with `dx down {} --cluster {}`",
            about.node, about.cluster, about.pid, about.node, about.cluster
        ),
        None => format!(
            "a program other than a dx node of this user listens there: stop it, or give the \
             node of cluster {} another port",
            cluster.name
        ),
    };
    StartError::Taken { address, holder }
}

fn port(address: &Address) -> &str {
    address.endpoint().rsplit_once(':').map_or("?", |(_, port)| port)
}
