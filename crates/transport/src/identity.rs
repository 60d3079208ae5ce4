//! Who a node is, proven by a certificate of its cluster's authority.
//!
//! The authority is one key pair that the cluster's owner keeps. It signs one certificate per
//! node, which names the node as `node-7.dx.internal`. Two nodes that connect both show theirs
//! (mutual TLS 1.3) and accept nothing that another authority signed.

mod authority;
mod key;
mod tls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::verify_server_cert_signed_by_trust_anchor as verify_chain;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

use crate::id::NodeId;
use crate::private_file::{self, PrivateFileError};

pub use authority::{Authority, AuthorityError, CLOCK_SKEW};
pub use key::{NodeKey, PublicKey};

/// A node's certificate and key, and the authority by which it judges others.
#[derive(Clone)]
pub struct NodeIdentity {
    pem: Arc<Pem>,
    certified: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
}

/// The texts of an identity's three files.
struct Pem {
    certificate: String,
    key: String,
    authority: String,
}

/// Where a node's identity is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The node's certificate, and those between it and the authority's if there are any.
    pub certificate: PathBuf,
    /// The node's key: mode 0600.
    pub key: PathBuf,
    /// The authority's certificate. There may be several while a cluster changes its authority.
    pub authority: PathBuf,
}

impl IdentityFiles {
    /// `node.pem`, `node.key` and `ca.pem` in `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            certificate: folder.join("node.pem"),
            key: folder.join("node.key"),
            authority: folder.join("ca.pem"),
        }
    }
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A file does not hold what it should.
    #[error("no {what} in PEM form was found: {reason}")]
    Pem {
        /// Certificate, key, or authority's certificate.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key are of different nodes or generations.
    #[error(
        "the node's key does not belong to its certificate: use the two that were issued together"
    )]
    KeyMismatch,
    /// The certificate would be refused by every peer.
    #[error("{0}")]
    Certificate(String),
}

impl NodeIdentity {
    /// The identity of these texts in PEM form: the node's certificate, its key, and the
    /// authority's certificate. Whether peers will accept it is for [`check`](Self::check).
    ///
    /// # Errors
    /// If one of them is not what it should be, or the key is another certificate's.
    pub fn from_pem(
        certificate: String,
        key: String,
        authority: String,
    ) -> Result<Self, IdentityError> {
        let chain = certificates("certificate", &certificate)?;
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| IdentityError::Pem { what: "key", reason: reason(&error) })?;
        let certified = CertifiedKey::from_der(chain, private, &tls::provider());
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(_) => IdentityError::KeyMismatch,
            error => IdentityError::Pem { what: "key", reason: error.to_string() },
        })?;
        let roots = Arc::new(trusted("authority's certificate", &authority)?);
        let pem = Arc::new(Pem { certificate, key, authority });
        Ok(Self { pem, certified: Arc::new(certified), roots })
    }

    /// Reads an identity from its files.
    ///
    /// # Errors
    /// If a file cannot be read, anybody but its owner may read the key, or as
    /// [`from_pem`](Self::from_pem).
    pub fn load(files: &IdentityFiles) -> Result<Self, IdentityError> {
        Self::from_pem(
            private_file::read_public(&files.certificate)?,
            private_file::read(&files.key)?,
            private_file::read_public(&files.authority)?,
        )
    }

    /// Writes the identity to new files.
    ///
    /// # Errors
    /// If one of them exists, or the operating system refuses.
    pub fn save(&self, files: &IdentityFiles) -> Result<(), IdentityError> {
        private_file::write(&files.key, &self.pem.key)?;
        private_file::write_public(&files.certificate, &self.pem.certificate)?;
        private_file::write_public(&files.authority, &self.pem.authority)?;
        Ok(())
    }

    /// Judges the certificate as a peer that expects `node` will at time `now`. To be called
    /// when a node starts: it is better told here than by each of its peers.
    ///
    /// # Errors
    /// If it has expired, is not valid yet, is another node's, or is not the authority's.
    pub fn check(&self, node: NodeId, now: SystemTime) -> Result<(), IdentityError> {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since_epoch);
        let algorithms = tls::provider().signature_verification_algorithms.all;
        let chain = &self.certified.cert;
        ParsedCertificate::try_from(&chain[0])
            .and_then(|leaf| {
                verify_chain(&leaf, &self.roots, &chain[1..], now, algorithms)?;
                verify_server_name(&leaf, &server_name(node))
            })
            .map_err(|error| IdentityError::Certificate(refusal(node, &error)))
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeIdentity(..)")
    }
}

/// The name of a node in its certificate, `node-7.dx.internal`. The top level `internal` is
/// reserved for private use.
#[must_use]
pub fn dns_name(node: NodeId) -> String {
    format!("node-{}.dx.internal", node.0)
}

/// The name of a node, as a TLS client expects it.
///
/// # Panics
/// Never: the names of all nodes are valid.
#[must_use]
pub fn server_name(node: NodeId) -> ServerName<'static> {
    ServerName::try_from(dns_name(node)).expect("the name of a node is a DNS name")
}

/// Whether `certificate` is that of `node`.
#[must_use]
pub fn names(certificate: &CertificateDer<'_>, node: NodeId) -> bool {
    ParsedCertificate::try_from(certificate)
        .and_then(|parsed| verify_server_name(&parsed, &server_name(node)))
        .is_ok()
}

/// Why peers will refuse this node's own certificate.
fn refusal(node: NodeId, error: &Error) -> String {
    let what = match error {
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "has expired: issue a new one",
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "is not valid yet: check this host's clock",
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "is not signed by the cluster's authority: issue a new one",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "is that of another node: give this node its own",
        _ => "does not work: issue a new one",
    };
    format!("the certificate of {} {what} ({error})", dns_name(node))
}

fn certificates(
    what: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(IdentityError::Pem { what, reason: "there is none".to_owned() })
        }
        Ok(found) => Ok(found),
        Err(error) => Err(IdentityError::Pem { what, reason: reason(&error) }),
    }
}

/// What is wrong with a text in PEM form. It is not quoted, as the error itself would: it may be
/// a key whose line breaks were lost.
fn reason(error: &pem::Error) -> String {
    let reason = match error {
        pem::Error::NoItemsFound => "there is none",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is not one, or goes on too long",
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        _ => "a section is damaged",
    };
    reason.to_owned()
}

fn trusted(what: &'static str, pem: &str) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(what, pem)? {
        roots
            .add(certificate)
            .map_err(|error| IdentityError::Pem { what, reason: error.to_string() })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    const YEAR: Duration = Duration::from_hours(365 * 24);

    fn authority() -> Authority {
        Authority::create().unwrap()
    }

    #[test]
    fn an_identity_survives_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = IdentityFiles::in_folder(folder.path());
        authority().issue(NodeId(7), YEAR).unwrap().save(&files).unwrap();
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        NodeIdentity::load(&files).unwrap().check(NodeId(7), SystemTime::now()).unwrap();
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = IdentityFiles::in_folder(folder.path());
        authority().issue(NodeId(7), YEAR).unwrap().save(&files).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = NodeIdentity::load(&files).unwrap_err().to_string();
        assert!(error.contains("node.key can be read by others (mode 640)"), "{error}");
    }

    #[test]
    fn a_certificate_names_its_node_and_no_other() {
        let identity = authority().issue(NodeId(7), YEAR).unwrap();
        let certificate = &identity.certified.cert[0];
        assert!(names(certificate, NodeId(7)));
        assert!(!names(certificate, NodeId(70)) && !names(certificate, NodeId(1)));
    }

    #[test]
    fn what_peers_will_refuse_is_found_at_the_start() {
        let authority = authority();
        let now = SystemTime::now();
        let refusal = |identity: &NodeIdentity| {
            let error = identity.check(NodeId(7), now).unwrap_err();
            assert!(matches!(error, IdentityError::Certificate(_)), "{error}");
            error.to_string()
        };
        let other = authority.issue(NodeId(8), YEAR).unwrap();
        assert!(refusal(&other).contains("node-8.dx.internal"), "{}", refusal(&other));
        let expired = authority.issue_for(NodeId(7), now - 2 * YEAR..now - YEAR).unwrap();
        assert!(refusal(&expired).contains("expired"), "{}", refusal(&expired));
        let early = authority.issue_for(NodeId(7), now + YEAR..now + 2 * YEAR).unwrap();
        assert!(refusal(&early).contains("not valid yet"), "{}", refusal(&early));
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let authority = authority();
        let [one, other] = [1, 1].map(|node| authority.issue(NodeId(node), YEAR).unwrap().pem);
        let mixed = NodeIdentity::from_pem(
            one.certificate.clone(),
            other.key.clone(),
            one.authority.clone(),
        );
        assert!(matches!(mixed, Err(IdentityError::KeyMismatch)), "{mixed:?}");
    }

    #[test]
    fn no_error_quotes_a_key() {
        let pem = authority().issue(NodeId(1), YEAR).unwrap().pem;
        let secret = pem.key.lines().nth(1).unwrap();
        let one_line = pem.key.replace('\n', "");
        let cut = one_line.trim_end_matches('-').to_owned();
        let tagged = pem.key.replacen("KEY-----\n", "KEY ", 1);
        for key in [one_line, cut, tagged, pem.key.replace("END", secret)] {
            let texts = (pem.certificate.clone(), pem.authority.clone());
            let error = NodeIdentity::from_pem(texts.0, key, texts.1).unwrap_err().to_string();
            let quotes = [secret.to_owned(), format!("{:?}", &secret.as_bytes()[..4])];
            let quotes = quotes.map(|quote| quote.trim_matches(['[', ']']).to_owned());
            assert!(!quotes.iter().any(|quote| error.contains(quote)), "{error}");
        }
    }

    #[test]
    fn what_is_no_pem_is_named() {
        let pem = authority().issue(NodeId(1), YEAR).unwrap().pem;
        let nothing = String::new;
        let load = |certificate: &String, key: &String, authority: &String| {
            let texts = (certificate.clone(), key.clone(), authority.clone());
            NodeIdentity::from_pem(texts.0, texts.1, texts.2).unwrap_err().to_string()
        };
        assert!(load(&nothing(), &pem.key, &pem.authority).contains("no certificate"));
        assert!(load(&pem.certificate, &nothing(), &pem.authority).contains("no key"));
        assert!(load(&pem.certificate, &pem.key, &nothing()).contains("no authority"));
    }
}
