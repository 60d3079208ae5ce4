//! Where a machine keeps what it knows of its clusters: `$XDG_STATE_HOME/dx`.
//!
//! ```text
//! CLUSTER/                 mode 0700
//!   ca.pem, ca.key         the authority; its key lies only where the cluster was created
//!   secret                 what nodes prove to each other over plain tcp
//!   tokens                 who may ask the job API over TCP: hashes
//!   NODE/                  mode 0700
//!     node.key, node.pem   who the node is; the key never leaves this folder
//!     lock                 held while the node runs; says by which process
//!     incarnation          the number of its last life
//!     control.sock, log, journal/, shim/
//! ```
//!
//! *Invariant:* the folder of a cluster or of a node is there whole or not at all; no crash leaves
//! half of one. *Invariant:* of all processes that start as one node, one runs.

mod certificate;
mod cluster;
mod folder;
mod incarnation;
mod lock;
mod name;
mod nearest;
mod node;
mod received;
mod tokens;

use std::env;
use std::path::{Path, PathBuf};

use dx_transport::id::ClusterId;

pub use certificate::{Certificate, CertificateError, Fingerprint};
pub use cluster::{Cluster, ClusterError};
pub use folder::{FolderError, lock as lock_folder};
pub use incarnation::IncarnationError;
pub use lock::{LockError, NodeLock};
pub use name::{InvalidName, NodeName};
pub use nearest::suggestion;
pub use node::{Node, NodeError, Renewal, Running};
pub use received::{ReceiveError, Received};
pub use tokens::{MAX_TOKENS, Token, TokenError, Tokens};

/// The folder of all clusters that this machine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum NoHome {
    /// Neither variable says where.
    #[error("neither XDG_STATE_HOME nor HOME is set: set one, so that dx knows where to keep keys")]
    Unset,
    /// It depends on the working directory, which differs from call to call.
    #[error("{variable} is `{}`, which is no absolute path: set it to one", .path.display())]
    Relative {
        /// The variable.
        variable: &'static str,
        /// What it says.
        path: PathBuf,
    },
}

impl Home {
    /// `$XDG_STATE_HOME/dx`, or else `$HOME/.local/state/dx`.
    ///
    /// # Errors
    /// If neither is an absolute path.
    pub fn of_this_user() -> Result<Self, NoHome> {
        let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
        let (variable, path) = match (set("XDG_STATE_HOME"), set("HOME")) {
            (Some(state), _) => ("XDG_STATE_HOME", PathBuf::from(state)),
            (None, Some(home)) => ("HOME", Path::new(&home).join(".local/state")),
            (None, None) => return Err(NoHome::Unset),
        };
        if path.is_absolute() {
            Ok(Self(path.join("dx")))
        } else {
            Err(NoHome::Relative { variable, path })
        }
    }

    /// A home at `path`, which need not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The clusters that have a folder here, by name.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn clusters(&self) -> Result<Vec<ClusterId>, FolderError> {
        Ok(folder::names(&self.0)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The folder of `cluster`.
    ///
    /// # Errors
    /// If it has none here, or it is not this user's alone.
    pub fn open(&self, cluster: &ClusterId) -> Result<Cluster, ClusterError> {
        Cluster::open(self, cluster)
    }

    /// The folder of `cluster`; if there is none, one is made, with a new authority and secret.
    /// Of many processes that do so at once, one makes it and all get the same.
    ///
    /// # Errors
    /// If it can be neither opened nor made.
    pub fn open_or_create(&self, cluster: &ClusterId) -> Result<Cluster, ClusterError> {
        Cluster::create(self, cluster)?;
        Cluster::open(self, cluster)
    }

    /// Makes the folder of `cluster` if there is none. Returns whether it made one.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(&self, cluster: &ClusterId) -> Result<bool, ClusterError> {
        Cluster::create(self, cluster)
    }
}
