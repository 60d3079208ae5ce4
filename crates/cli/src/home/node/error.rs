//! Why a node's folder could not be used.

use std::path::PathBuf;

use dx_transport::id::{ClusterId, NodeId};
use dx_transport::identity::IdentityError;

use super::MAX_SOCKET_PATH;
use crate::home::certificate::CertificateError;
use crate::home::cluster::ClusterError;
use crate::home::folder::FolderError;
use crate::home::incarnation::IncarnationError;
use crate::home::lock;
use crate::home::name::NodeName;

/// Why a node's folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The cluster's folder, or the authority, could not be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The node's folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another process runs the node.
    #[error("node {node} of cluster {cluster} runs already ({})", lock::holder(*.pid))]
    Running {
        /// The node.
        node: NodeName,
        /// Its cluster.
        cluster: ClusterId,
        /// The process, if it is known yet.
        pid: Option<u32>,
    },
    /// There is a certificate already. It was not touched.
    #[error(
        "node {0} has a certificate already: `dx cert renew {0}` prolongs it, `--replace` replaces it"
    )]
    Exists(NodeName),
    /// The node has no folder here.
    #[error(
        "node {node} of cluster {cluster} has no certificate here: `dx cert issue {node} --cluster {cluster}` makes one"
    )]
    Unknown {
        /// The node.
        node: NodeName,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// The certificate is that of another number.
    #[error(
        "the certificate of node {node} is for id {has}, not {wanted}: correct the cluster file, or `dx cert issue {node} --id {wanted} --replace`"
    )]
    OtherId {
        /// The node.
        node: NodeName,
        /// The number in the certificate.
        has: NodeId,
        /// The number that it should have.
        wanted: NodeId,
    },
    /// Certificate or key cannot be used.
    #[error(
        "node {node} cannot prove who it is: {reason} (`dx cert issue {node} --replace --cluster {cluster}` does)"
    )]
    Identity {
        /// The node.
        node: NodeName,
        /// Its cluster.
        cluster: ClusterId,
        /// What is wrong.
        reason: IdentityError,
    },
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The number of the next life is not known.
    #[error(transparent)]
    Incarnation(#[from] IncarnationError),
    /// The operating system allows no socket at this path.
    #[error(
        "{} has {} bytes, and a socket's path at most {MAX_SOCKET_PATH}: use shorter names, or set XDG_STATE_HOME to a shorter folder",
        .0.display(),
        .0.as_os_str().len()
    )]
    SocketPath(PathBuf),
}
