//! The cluster's certificate authority.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use sha2::{Digest, Sha256};

use super::key::{KEY, NodeKey, PublicKey};
use super::{IdentityError, NodeIdentity, dns_name, trusted};
use crate::id::NodeId;
use crate::private_file::{self, PrivateFileError};

/// How long an authority is valid: its end is a rebuild of the cluster, so it lies far away.
const LIFETIME: Duration = Duration::from_hours(20 * 365 * 24);

/// What is issued is valid from a little before now, for nodes whose clocks are behind.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// The key that signs the certificates of a cluster's nodes. Whoever holds it can add nodes.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// What was read is no certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The key is that of another certificate.
    #[error(
        "the authority's key does not belong to its certificate: use the two that were created together"
    )]
    KeyMismatch,
    /// Keys or certificates could not be made.
    #[error("failed to make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl Authority {
    /// A new authority, unlike any other.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn create() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(KEY)?;
        let params = params(&key, SystemTime::now());
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Reads an authority from the files of its certificate and its key.
    ///
    /// # Errors
    /// If a file cannot be read, anybody but its owner may read the key, or they do not belong
    /// together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, AuthorityError> {
        let certificate = private_file::read_public(certificate)?;
        // The error itself would quote parts of the key.
        let key = KeyPair::from_pem(&private_file::read(key)?).map_err(|_| IdentityError::Pem {
            what: "authority's key",
            reason: "there is none, or it is damaged".to_owned(),
        })?;
        let roots = trusted("authority's certificate", &certificate)?;
        // An anchor holds the key's DER without its outermost tag.
        let public = key.subject_public_key_info();
        if !roots.roots.iter().any(|root| public.ends_with(&root.subject_public_key_info)) {
            return Err(AuthorityError::KeyMismatch);
        }
        Ok(Self { issuer: Issuer::new(params(&key, SystemTime::now()), key), certificate })
    }

    /// Writes certificate and key to new files; the key's has mode 0600.
    ///
    /// # Errors
    /// If one of them exists, or the operating system refuses.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), AuthorityError> {
        private_file::write(key, &self.issuer.key().serialize_pem())?;
        Ok(private_file::write_public(certificate, &self.certificate)?)
    }

    /// A new key and certificate for `node`, valid from now for `lifetime`.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn issue(&self, node: NodeId, lifetime: Duration) -> Result<NodeIdentity, AuthorityError> {
        let now = SystemTime::now();
        self.issue_for(node, now - CLOCK_SKEW..now + lifetime)
    }

    /// A new key and certificate for `node`, valid within `period`.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn issue_for(
        &self,
        node: NodeId,
        period: Range<SystemTime>,
    ) -> Result<NodeIdentity, AuthorityError> {
        let key = NodeKey::generate()?;
        let certificate = self.certify(node, &key.public(), period)?;
        Ok(NodeIdentity::from_pem(certificate, key.pem(), self.certificate.clone())?)
    }

    /// A certificate in PEM form that `key` is `node`'s, valid within `period`. The key itself
    /// never leaves its owner.
    ///
    /// # Errors
    /// If none can be made.
    pub fn certify(
        &self,
        node: NodeId,
        key: &PublicKey,
        period: Range<SystemTime>,
    ) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::new([dns_name(node)])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("dx node {}", node.0));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = period.start.into();
        params.not_after = period.end.into();
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }

    /// The authority's certificate, in PEM form.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// What the authority's certificate says. The name follows from the key: so no parser is needed
/// to sign in the same name later, and two authorities never share one.
fn params(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let digest = Sha256::digest(key.subject_public_key_info());
    let (first, _) = digest.split_first_chunk().expect("SHA-256 has 32 bytes");
    let fingerprint = u64::from_be_bytes(*first);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("dx authority {fingerprint:016x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + LIFETIME).into();
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_hours(365 * 24);

    #[test]
    fn a_loaded_authority_signs_like_the_one_that_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let files = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        Authority::create().unwrap().save(&files.0, &files.1).unwrap();
        let loaded = Authority::load(&files.0, &files.1).unwrap();
        let identity = loaded.issue(NodeId(3), YEAR).unwrap();
        identity.check(NodeId(3), SystemTime::now()).unwrap();
    }

    #[test]
    fn a_key_of_another_authority_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        Authority::create().unwrap().save(&file("a.pem"), &file("a.key")).unwrap();
        Authority::create().unwrap().save(&file("b.pem"), &file("b.key")).unwrap();
        let mixed = Authority::load(&file("a.pem"), &file("b.key"));
        assert!(matches!(mixed, Err(AuthorityError::KeyMismatch)), "{mixed:?}");
    }
}
