//! The folder of a node: its identity, the lock of its process, and what it leaves behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dx_transport::credentials::Credentials;
use dx_transport::id::{ClusterId, Incarnation, NodeId};
use dx_transport::identity::{
    Authority, AuthorityError, CLOCK_SKEW, IdentityError, IdentityFiles, NodeIdentity, NodeKey,
    PublicKey,
};

use super::certificate::{Certificate, CertificateError};
use super::cluster::{Cluster, ClusterError};
use super::folder::{self, FolderError};
use super::incarnation::{self, IncarnationError};
use super::lock::{self, LockError, NodeLock};
use super::name::NodeName;

/// How long a node's certificate is valid. It is renewed at a start in the last third, so a node
/// may run for four months after such a start and still be believed; a guess.
const LIFETIME: Duration = Duration::from_hours(365 * 24);

/// The longest path of a unix socket, in bytes: 108 in `sockaddr_un`, with the zero at its end.
const MAX_SOCKET_PATH: usize = 107;

/// The folder of a node. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    cluster: Cluster,
    name: NodeName,
    path: PathBuf,
}

/// A node that is about to run: no other process runs it while this value lives.
#[derive(Debug)]
pub struct Running {
    /// Its folder.
    pub node: Node,
    /// The number of this life. The disk has it.
    pub incarnation: Incarnation,
    /// What it proves itself with.
    pub credentials: Credentials,
    /// What was done about its certificate.
    pub renewal: Renewal,
    _lock: NodeLock,
}

/// What was done about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It was made just now.
    Issued,
    /// More than a third of its life is left.
    NotDue,
    /// Less was left, so it was replaced.
    Renewed,
    /// Less is left, and the authority's key is not on this machine. It ends at this moment.
    Due(SystemTime),
}

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

    /// Makes key and certificate. With `replace`, one that is there is replaced; its key stays if
    /// it can be used.
    ///
    /// # Errors
    /// If there is one and `replace` is not set, or none can be made.
    pub fn issue(&self, id: NodeId, now: SystemTime, replace: bool) -> Result<(), NodeError> {
        self.check_socket_path()?;
        let authority = self.cluster.authority()?;
        let _lock = folder::lock(self.cluster.path())?;
        if !folder::exists(&self.path)? {
            return self.make(&authority, id, now);
        }
        if folder::exists(&self.certificate_file())? && !replace {
            return Err(NodeError::Exists(self.name.clone()));
        }
        if NodeKey::load(&self.key_file()).is_err() {
            let key = NodeKey::generate().map_err(|error| self.authority_error(error))?;
            folder::replace(&self.key_file(), |file| {
                key.save(file).map_err(|error| self.identity_error(error))
            })?;
        }
        self.certify(&authority, id, now)
    }

    /// Replaces the certificate by one for the same node and key, valid from `now`.
    ///
    /// # Errors
    /// If there is none, or no other can be made.
    pub fn renew(&self, now: SystemTime) -> Result<(), NodeError> {
        let authority = self.cluster.authority()?;
        let _lock = folder::lock(self.cluster.path())?;
        let id = self.certificate()?.node().ok_or_else(|| {
            CertificateError::Damaged(self.certificate_file().display().to_string())
        })?;
        self.certify(&authority, id, now)
    }

    /// Makes ready to run as node `id` at wall-clock time `now`: takes the lock, sees to the
    /// certificate, and stores the number of this life.
    ///
    /// # Errors
    /// If another process runs the node, peers would not believe it, or the folder cannot be used.
    pub fn start(self, id: NodeId, now: SystemTime) -> Result<Running, NodeError> {
        self.check_socket_path()?;
        let issued = self.issue_if_missing(id, now)?;
        folder::check(&self.path)?;
        let lock = self.lock()?;
        let renewal = if issued { Renewal::Issued } else { self.renew_if_due(now)? };
        let identity = self.identity(Some(id), now)?;
        let secret = self.cluster.secret()?;
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let incarnation =
            incarnation::next(&self.path.join("incarnation"), since_epoch.as_millis() as u64)?;
        let credentials = Credentials { identity: Some(identity), secret: Some(secret) };
        Ok(Running { node: self, incarnation, credentials, renewal, _lock: lock })
    }

    /// Returns whether the certificate was made.
    fn issue_if_missing(&self, id: NodeId, now: SystemTime) -> Result<bool, NodeError> {
        if folder::exists(&self.path)? {
            return Ok(false);
        }
        let authority = self.cluster.authority()?;
        let _lock = folder::lock(self.cluster.path())?;
        if folder::exists(&self.path)? {
            return Ok(false);
        }
        self.make(&authority, id, now)?;
        Ok(true)
    }

    fn renew_if_due(&self, now: SystemTime) -> Result<Renewal, NodeError> {
        let certificate = self.certificate()?;
        if !certificate.is_due(now) {
            return Ok(Renewal::NotDue);
        }
        if !self.cluster.can_issue()? {
            return Ok(Renewal::Due(certificate.until));
        }
        self.renew(now)?;
        Ok(Renewal::Renewed)
    }

    /// Makes the folder, with a new key and its certificate. The caller holds the cluster's lock.
    fn make(&self, authority: &Authority, id: NodeId, now: SystemTime) -> Result<(), NodeError> {
        let key = NodeKey::generate().map_err(|error| self.authority_error(error))?;
        let certificate = self.sign(authority, id, &key.public(), now)?;
        folder::make_whole(&self.path, |folder| self.fill(folder, &key, &certificate))
    }

    /// Takes over a key and its certificate that were made for this node, unless it runs.
    pub(super) fn receive(&self, key: &NodeKey, certificate: &str) -> Result<(), NodeError> {
        self.check_socket_path()?;
        let _making = folder::lock(self.cluster.path())?;
        if !folder::exists(&self.path)? {
            return folder::make_whole(&self.path, |folder| self.fill(folder, key, certificate));
        }
        let _running = self.lock()?;
        // A crash between the two leaves a key without its certificate: the start says so, and
        // joining again mends it.
        folder::replace(&self.key_file(), |file| {
            key.save(file).map_err(|error| self.identity_error(error))
        })?;
        folder::replace(&self.certificate_file(), |file| {
            Ok(folder::write(file, certificate, 0o644)?)
        })
    }

    fn lock(&self) -> Result<NodeLock, NodeError> {
        NodeLock::take(&self.path.join("lock")).map_err(|error| match error {
            LockError::Held(pid) => NodeError::Running {
                node: self.name.clone(),
                cluster: self.cluster.name().clone(),
                pid,
            },
            LockError::Folder(error) => error.into(),
        })
    }

    /// Writes key and certificate into `folder`.
    pub(super) fn fill(
        &self,
        folder: &Path,
        key: &NodeKey,
        certificate: &str,
    ) -> Result<(), NodeError> {
        key.save(&folder.join(KEY)).map_err(|error| self.identity_error(error))?;
        Ok(folder::write(&folder.join(CERTIFICATE), certificate, 0o644)?)
    }

    /// A certificate that `key`, which lies on another machine, is this node's.
    ///
    /// # Errors
    /// If the authority's key is not here.
    pub fn certify_remote(
        &self,
        id: NodeId,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<String, NodeError> {
        self.sign(&self.cluster.authority()?, id, key, now)
    }

    fn sign(
        &self,
        authority: &Authority,
        id: NodeId,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<String, NodeError> {
        let signed = authority.certify(id, key, now - CLOCK_SKEW..now + LIFETIME);
        signed.map_err(|error| self.authority_error(error))
    }

    fn certify(&self, authority: &Authority, id: NodeId, now: SystemTime) -> Result<(), NodeError> {
        let key = NodeKey::load(&self.key_file()).map_err(|error| self.identity_error(error))?;
        let certificate = self.sign(authority, id, &key.public(), now)?;
        folder::replace(&self.certificate_file(), |file| {
            Ok(folder::write(file, &certificate, 0o644)?)
        })
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
