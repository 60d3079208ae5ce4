//! What a machine that joins is given: a place in a cluster that was created elsewhere.

use std::path::PathBuf;
use std::time::SystemTime;

use dx_transport::id::{ClusterId, NodeId};
use dx_transport::identity::{IdentityError, NodeIdentity, NodeKey};
use dx_transport::secret::ClusterSecret;

use super::certificate::Certificate;
use super::cluster::{self, CA, Cluster, ClusterError, SECRET};
use super::folder::{self, FolderError};
use super::name::NodeName;
use super::{Home, Node, NodeError};

/// A node's place in a cluster, as it is received. The key was made here.
#[derive(Debug)]
pub struct Received<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's name in it.
    pub node: NodeName,
    /// The node's number.
    pub id: NodeId,
    /// The node's key.
    pub key: &'a NodeKey,
    /// Its certificate, in PEM form.
    pub certificate: String,
    /// The authority's certificate, in PEM form.
    pub authority: String,
    /// The cluster's secret.
    pub secret: ClusterSecret,
}

/// Why what was received was not stored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Peers would not believe the node.
    #[error("what was received cannot be used: {0}")]
    Identity(IdentityError),
    /// The folder of the cluster cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The folder of the node cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The home cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A cluster of this name is here, and it is another one.
    #[error(
        "another cluster is called `{cluster}` here, in {}: give one of them another name, or remove that folder if nothing in it matters any more",
        .path.display()
    )]
    OtherCluster {
        /// The name.
        cluster: ClusterId,
        /// The folder.
        path: PathBuf,
    },
}

impl Received<'_> {
    /// Stores it, whole or not at all. A node of this name that is here, and does not run, gets the
    /// new key and certificate and keeps the rest.
    ///
    /// # Errors
    /// If it cannot be used at wall-clock time `now`, contradicts what is here, or the disk refuses.
    pub fn store(&self, home: &Home, now: SystemTime) -> Result<Node, ReceiveError> {
        let authority = self.judge(now)?;
        let path = cluster::path(home, &self.cluster)?;
        folder::make(home.path())?;
        let _lock = folder::lock(home.path())?;
        if !folder::exists(&path)? {
            let cluster = Cluster::at(&self.cluster, path);
            let node = cluster.node(&self.node);
            node.check_socket_path()?;
            folder::make_whole(cluster.path(), |folder| self.fill(&node, folder))?;
            return Ok(node);
        }
        let cluster = home.open(&self.cluster)?;
        let is_same = cluster.authority_certificate()? == authority
            && cluster.secret()?.expose() == self.secret.expose();
        if !is_same {
            return Err(ReceiveError::OtherCluster { cluster: self.cluster.clone(), path });
        }
        let node = cluster.node(&self.node);
        node.receive(self.key, &self.certificate)?;
        Ok(node)
    }

    /// The authority's certificate, if peers would believe this node.
    fn judge(&self, now: SystemTime) -> Result<Certificate, ReceiveError> {
        let texts = (self.certificate.clone(), self.key.pem(), self.authority.clone());
        NodeIdentity::from_pem(texts.0, texts.1, texts.2)
            .and_then(|identity| identity.check(self.id, now))
            .map_err(ReceiveError::Identity)?;
        Ok(Certificate::from_pem(&self.authority).expect("it has just verified another one"))
    }

    fn fill(&self, node: &Node, folder: &std::path::Path) -> Result<(), ReceiveError> {
        folder::write(&folder.join(CA), &self.authority, 0o644)?;
        self.secret
            .save(&folder.join(SECRET))
            .map_err(|error| node.cluster().secret_error(error))?;
        let inner = folder.join(self.node.as_str());
        folder::make(&inner)?;
        Ok(node.fill(&inner, self.key, &self.certificate)?)
    }
}
