//! Keys and certificates of nodes, made and replaced.

use std::path::Path;
use std::time::{Duration, SystemTime};

use dx_transport::id::NodeId;
use dx_transport::identity::{Authority, CLOCK_SKEW, NodeKey, PublicKey};

use super::{CERTIFICATE, KEY, Node, NodeError};
use crate::home::certificate::CertificateError;
use crate::home::folder;

/// How long a node's certificate is valid. It is renewed at a start in the last third, so a node
/// may run for four months after such a start and still be believed; a guess.
const LIFETIME: Duration = Duration::from_hours(365 * 24);

impl Node {
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

    /// Takes over a key and its certificate that were made for this node, unless it runs.
    pub(in crate::home) fn receive(
        &self,
        key: &NodeKey,
        certificate: &str,
    ) -> Result<(), NodeError> {
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

    /// Makes the folder, with a new key and its certificate. The caller holds the cluster's lock.
    pub(super) fn make(
        &self,
        authority: &Authority,
        id: NodeId,
        now: SystemTime,
    ) -> Result<(), NodeError> {
        let key = NodeKey::generate().map_err(|error| self.authority_error(error))?;
        let certificate = self.sign(authority, id, &key.public(), now)?;
        folder::make_whole(&self.path, |folder| self.fill(folder, &key, &certificate))
    }

    /// Writes key and certificate into `folder`.
    pub(in crate::home) fn fill(
        &self,
        folder: &Path,
        key: &NodeKey,
        certificate: &str,
    ) -> Result<(), NodeError> {
        key.save(&folder.join(KEY)).map_err(|error| self.identity_error(error))?;
        Ok(folder::write(&folder.join(CERTIFICATE), certificate, 0o644)?)
    }

    fn certify(&self, authority: &Authority, id: NodeId, now: SystemTime) -> Result<(), NodeError> {
        let key = NodeKey::load(&self.key_file()).map_err(|error| self.identity_error(error))?;
        let certificate = self.sign(authority, id, &key.public(), now)?;
        folder::replace(&self.certificate_file(), |file| {
            Ok(folder::write(file, &certificate, 0o644)?)
        })
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
}
