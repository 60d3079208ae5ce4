//! The folder of a cluster: its authority, its secret, its nodes.

use std::path::{Path, PathBuf};

use dx_transport::id::ClusterId;
use dx_transport::identity::{Authority, AuthorityError};
use dx_transport::secret::{ClusterSecret, SecretError};

use super::certificate::{Certificate, CertificateError};
use super::folder::{self, FolderError};
use super::name::{self, NodeName};
use super::nearest::suggestion;
use super::{Home, Node};

/// The folder of a cluster on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    name: ClusterId,
    path: PathBuf,
}

/// Why the folder of a cluster could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no such folder.
    #[error("no cluster `{name}` here{suggestion}")]
    Unknown {
        /// The cluster.
        name: ClusterId,
        /// `; did you mean ...?`, or nothing.
        suggestion: String,
    },
    /// The name is no name of a folder.
    #[error(
        "the cluster's name `{0}` begins with `.`, and a folder is called after it: choose another"
    )]
    Name(ClusterId),
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The authority's key is on another machine.
    #[error(
        "the authority's key of cluster `{0}` is not on this machine: do this on the one where the cluster was created (a node that joined gets a new certificate by joining again)"
    )]
    NoKey(ClusterId),
    /// Certificate or key of the authority are damaged, or none could be made.
    #[error("the authority of cluster `{cluster}` cannot be used: {reason}")]
    Authority {
        /// The cluster.
        cluster: ClusterId,
        /// What is wrong.
        reason: AuthorityError,
    },
    /// The authority's certificate is damaged.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The cluster's secret is damaged, or none could be made.
    #[error("the secret of cluster `{cluster}` cannot be used: {reason}")]
    Secret {
        /// The cluster.
        cluster: ClusterId,
        /// What is wrong.
        reason: SecretError,
    },
}

impl Cluster {
    /// The folder at `path`, which may not exist yet.
    pub(super) fn at(name: &ClusterId, path: PathBuf) -> Self {
        Self { name: name.clone(), path }
    }

    pub(super) fn open(home: &Home, name: &ClusterId) -> Result<Self, ClusterError> {
        let path = path(home, name)?;
        if !folder::exists(&path)? {
            let known = home.clusters()?;
            let suggestion = suggestion(name.as_str(), known.iter().map(ClusterId::as_str));
            return Err(ClusterError::Unknown { name: name.clone(), suggestion });
        }
        folder::check(&path)?;
        Ok(Self::at(name, path))
    }

    pub(super) fn create(home: &Home, name: &ClusterId) -> Result<bool, ClusterError> {
        let cluster = Self::at(name, path(home, name)?);
        if folder::exists(&cluster.path)? {
            return Ok(false);
        }
        folder::make(home.path())?;
        let _lock = folder::lock(home.path())?;
        if folder::exists(&cluster.path)? {
            return Ok(false);
        }
        let failed = |error| cluster.authority_error(error);
        let authority = Authority::create().map_err(failed)?;
        let secret = ClusterSecret::generate().map_err(|error| cluster.secret_error(error))?;
        folder::make_whole(&cluster.path, |folder| {
            authority.save(&folder.join(CA), &folder.join(CA_KEY)).map_err(failed)?;
            secret.save(&folder.join(SECRET)).map_err(|error| cluster.secret_error(error))
        })?;
        Ok(true)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ClusterId {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the authority's certificate.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.path.join(CA)
    }

    /// The authority's certificate.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn authority_certificate(&self) -> Result<Certificate, ClusterError> {
        Ok(Certificate::load(&self.authority_file())?)
    }

    /// Whether the authority's key is here, so that certificates can be issued.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn can_issue(&self) -> Result<bool, ClusterError> {
        Ok(folder::exists(&self.path.join(CA_KEY))?)
    }

    /// The authority, which issues certificates.
    ///
    /// # Errors
    /// If its key is not on this machine, or damaged.
    pub fn authority(&self) -> Result<Authority, ClusterError> {
        if !self.can_issue()? {
            return Err(ClusterError::NoKey(self.name.clone()));
        }
        Authority::load(&self.path.join(CA), &self.path.join(CA_KEY))
            .map_err(|error| self.authority_error(error))
    }

    /// The cluster's secret.
    ///
    /// # Errors
    /// If it is missing, damaged, or others may read it.
    pub fn secret(&self) -> Result<ClusterSecret, ClusterError> {
        ClusterSecret::load(&self.path.join(SECRET)).map_err(|error| self.secret_error(error))
    }

    /// The nodes that have a folder here, by name.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn nodes(&self) -> Result<Vec<Node>, FolderError> {
        let names = folder::names(&self.path)?;
        let names = names.iter().filter_map(|name| name.parse().ok());
        Ok(names.map(|name| self.node(&name)).collect())
    }

    /// The folder of `node`, which need not exist.
    #[must_use]
    pub fn node(&self, node: &NodeName) -> Node {
        Node::new(self, node)
    }

    fn authority_error(&self, error: AuthorityError) -> ClusterError {
        match folder::of_authority(error) {
            Ok(error) => error.into(),
            Err(reason) => ClusterError::Authority { cluster: self.name.clone(), reason },
        }
    }

    pub(super) fn secret_error(&self, error: SecretError) -> ClusterError {
        match folder::of_secret(error) {
            Ok(error) => error.into(),
            Err(reason) => ClusterError::Secret { cluster: self.name.clone(), reason },
        }
    }
}

/// The folder of the cluster `name`.
pub(super) fn path(home: &Home, name: &ClusterId) -> Result<PathBuf, ClusterError> {
    if name::can_be_folder(name) {
        Ok(home.path().join(name.as_str()))
    } else {
        Err(ClusterError::Name(name.clone()))
    }
}

/// The authority's certificate.
pub(super) const CA: &str = "ca.pem";

/// The authority's key.
const CA_KEY: &str = "ca.key";

/// The cluster's secret.
pub(super) const SECRET: &str = "secret";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_its_owner_can_look_into_a_cluster() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(&root.path().join("dx"));
        let cluster = home.open_or_create(&"local".parse().unwrap()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(cluster.path()), 0o700);
        assert_eq!(mode(&cluster.path().join(CA_KEY)), 0o600);
        assert_eq!(mode(&cluster.path().join(SECRET)), 0o600);
    }

    #[test]
    fn a_cluster_is_created_once() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let name = "local".parse().unwrap();
        assert!(home.create(&name).unwrap());
        let first = home.open(&name).unwrap().authority_certificate().unwrap();
        assert!(!home.create(&name).unwrap());
        assert_eq!(home.open(&name).unwrap().authority_certificate().unwrap(), first);
    }

    #[test]
    fn an_unknown_cluster_is_answered_with_the_nearest_one() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        home.create(&"local".parse().unwrap()).unwrap();
        let error = home.open(&"loacl".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "no cluster `loacl` here; did you mean `local`?");
    }

    #[test]
    fn a_clusters_name_never_leads_out_of_the_home() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        for name in [".", "..", ".local.new"] {
            let name = name.parse().unwrap();
            assert!(matches!(home.create(&name), Err(ClusterError::Name(_))), "{name}");
            assert!(matches!(home.open(&name), Err(ClusterError::Name(_))), "{name}");
        }
    }
}
