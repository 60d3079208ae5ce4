//! The folder of a node: its identity, the lock of its process, and what it leaves behind.

mod certify;
mod error;
mod start;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dx_transport::id::NodeId;
use dx_transport::identity::{AuthorityError, IdentityError, IdentityFiles, NodeIdentity};

use super::certificate::{Certificate, CertificateError};
use super::cluster::{Cluster, ClusterError};
use super::folder;
use super::name::NodeName;

pub use error::NodeError;
pub use start::{Renewal, Running};

/// The longest path of a unix socket, in bytes: 108 in `sockaddr_un`, with the zero at its end.
const MAX_SOCKET_PATH: usize = 107;

/// The folder of a node. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    cluster: Cluster,
    name: NodeName,
    path: PathBuf,
}

impl Node {
    pub(super) fn new(cluster: &Cluster, name: &NodeName) -> Self {
        let path = cluster.path().join(name.as_str());
        Self { cluster: cluster.clone(), name: name.clone(), path }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Its log, for when it runs without a terminal.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The folder of the process that runs its tasks.
    #[must_use]
    pub fn shim(&self) -> PathBuf {
        self.path.join("shim")
    }

    /// The folder of its journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Its certificate.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    pub fn certificate(&self) -> Result<Certificate, NodeError> {
        if folder::exists(&self.certificate_file())? {
            Ok(Certificate::load(&self.certificate_file())?)
        } else {
            Err(self.unknown())
        }
    }

    /// What keeps peers from believing this node at `now`, if anything does. `id` is the node that
    /// its certificate should name; by default, the one that it names.
    ///
    /// # Errors
    /// That is the answer.
    pub fn identity(&self, id: Option<NodeId>, now: SystemTime) -> Result<NodeIdentity, NodeError> {
        let has = self.certificate()?.node();
        let wanted = id.or(has).ok_or_else(|| {
            CertificateError::Damaged(self.certificate_file().display().to_string())
        })?;
        if let Some(has) = has.filter(|has| *has != wanted) {
            return Err(NodeError::OtherId { node: self.name.clone(), has, wanted });
        }
        let failed = |error| self.identity_error(error);
        let identity = NodeIdentity::load(&self.identity_files()).map_err(failed)?;
        identity.check(wanted, now).map_err(failed)?;
        Ok(identity)
    }

    pub(super) fn check_socket_path(&self) -> Result<(), NodeError> {
        let path = self.control_socket();
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(NodeError::SocketPath(path));
        }
        Ok(())
    }

    fn identity_files(&self) -> IdentityFiles {
        IdentityFiles {
            certificate: self.certificate_file(),
            key: self.key_file(),
            authority: self.cluster.authority_file(),
        }
    }

    fn certificate_file(&self) -> PathBuf {
        self.path.join(CERTIFICATE)
    }

    fn key_file(&self) -> PathBuf {
        self.path.join(KEY)
    }

    fn unknown(&self) -> NodeError {
        NodeError::Unknown { node: self.name.clone(), cluster: self.cluster.name().clone() }
    }

    fn identity_error(&self, error: IdentityError) -> NodeError {
        match folder::of_identity(error) {
            Ok(error) => error.into(),
            Err(reason) => NodeError::Identity {
                node: self.name.clone(),
                cluster: self.cluster.name().clone(),
                reason,
            },
        }
    }

    fn authority_error(&self, reason: AuthorityError) -> NodeError {
        ClusterError::Authority { cluster: self.cluster.name().clone(), reason }.into()
    }
}

/// The node's key.
const KEY: &str = "node.key";

/// The node's certificate.
const CERTIFICATE: &str = "node.pem";
