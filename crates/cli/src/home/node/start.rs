//! What comes before a node runs: the lock, the certificate, the number of this life.

use std::path::PathBuf;
use std::time::SystemTime;

use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};

use super::{Node, NodeError};
use crate::home::folder;
use crate::home::incarnation;
use crate::home::lock::{LockError, NodeLock};

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
    lock: NodeLock,
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

impl Running {
    /// Whether the lock that it holds is the one that others would take.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.lock.is_at(&self.node.lock_file())
    }
}

impl Node {
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
        Ok(Running { node: self, incarnation, credentials, renewal, lock })
    }

    /// Returns whether the certificate was made. What else lies in the folder stays as it is.
    fn issue_if_missing(&self, id: NodeId, now: SystemTime) -> Result<bool, NodeError> {
        if folder::exists(&self.certificate_file())? {
            return Ok(false);
        }
        match self.issue(id, now, false) {
            Ok(()) => Ok(true),
            // Another process was faster.
            Err(NodeError::Exists(_)) => Ok(false),
            Err(error) => Err(error),
        }
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

    pub(super) fn lock(&self) -> Result<NodeLock, NodeError> {
        NodeLock::take(&self.lock_file()).map_err(|error| match error {
            LockError::Held(pid) => NodeError::Running {
                node: self.name.clone(),
                cluster: self.cluster.name().clone(),
                pid,
            },
            LockError::Folder(error) => error.into(),
        })
    }
    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }
}
