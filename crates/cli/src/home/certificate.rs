//! What a certificate says: whose it is, and from when until when.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dx_transport::id::NodeId;
use dx_transport::identity::dns_name;
use rustls::client::verify_server_cert_signed_by_trust_anchor as verify_chain;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError as Refusal, Error, RootCertStore};
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::folder::{self, FolderError};
use crate::hex;

/// A certificate of the authority or of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// The first moment at which it is valid.
    pub from: SystemTime,
    /// The last one.
    pub until: SystemTime,
}

/// Why a certificate could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file could not be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It holds something else.
    #[error("{0} holds no certificate that can be read: issue a new one")]
    Damaged(String),
}

/// The SHA-256 of something public, by which people recognise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Certificate {
    /// Reads the first certificate of a file.
    ///
    /// # Errors
    /// If the file cannot be read or holds none.
    pub fn load(path: &Path) -> Result<Self, CertificateError> {
        let damaged = || CertificateError::Damaged(path.display().to_string());
        Self::from_pem(&folder::read(path)?).ok_or_else(damaged)
    }

    /// The first certificate of a text in PEM form, if there is one.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let (from, until) = validity(&der)?;
        Some(Self { der, from, until })
    }

    /// The node that it names. The authority's names none.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        let parsed = EndEntityCert::try_from(&self.der).ok()?;
        parsed.valid_dns_names().find_map(|name| {
            let number = name.strip_prefix("node-")?.split('.').next()?;
            let node = NodeId(number.parse().ok()?);
            (dns_name(node) == name).then_some(node)
        })
    }

    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` has it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// What is left of it at `now`.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Duration {
        self.until.duration_since(now).unwrap_or_default()
    }

    /// Whether it is time for a new one: less than a third of its life is left.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        let life = self.until.duration_since(self.from).unwrap_or_default();
        self.left(now) < life / 3
    }
}

/// From when until when a certificate is valid, said by the verifier that will judge it: before
/// the beginning of time it is not valid yet, at its end it has expired.
fn validity(der: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let moment = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let from = match refusal_at(der, 0)? {
        Refusal::NotValidYetContext { not_before, .. } => moment(not_before),
        _ => return None,
    };
    let until = match refusal_at(der, u64::MAX)? {
        Refusal::ExpiredContext { not_after, .. } => moment(not_after),
        _ => return None,
    };
    Some((from, until))
}

fn refusal_at(der: &CertificateDer<'_>, seconds: u64) -> Option<Refusal> {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let parsed = ParsedCertificate::try_from(der).ok()?;
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    match verify_chain(&parsed, &RootCertStore::empty(), &[], now, algorithms) {
        Err(Error::InvalidCertificate(refusal)) => Some(refusal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dx_transport::identity::{Authority, NodeKey};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_certificate_tells_its_node_and_its_dates() {
        let authority = Authority::create().unwrap();
        let key = NodeKey::generate().unwrap().public();
        let from = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let pem = authority.certify(NodeId(7), &key, from..from + 300 * DAY).unwrap();
        let certificate = Certificate::from_pem(&pem).unwrap();
        assert_eq!(certificate.node(), Some(NodeId(7)));
        assert_eq!((certificate.from, certificate.until), (from, from + 300 * DAY));
        assert!(!certificate.is_due(from + 199 * DAY));
        assert!(certificate.is_due(from + 201 * DAY));
        assert!(certificate.is_due(from + 400 * DAY));
    }

    #[test]
    fn the_authoritys_certificate_names_no_node() {
        let authority = Authority::create().unwrap();
        let certificate = Certificate::from_pem(authority.certificate()).unwrap();
        assert_eq!(certificate.node(), None);
        assert!(certificate.left(SystemTime::now()) > 19 * 365 * DAY);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let pem = Authority::create().unwrap().certificate().to_owned();
        for text in ["", "x", &pem[..pem.len() / 2], &pem.replace("MII", "MIA")] {
            assert_eq!(Certificate::from_pem(text), None);
        }
    }
}
