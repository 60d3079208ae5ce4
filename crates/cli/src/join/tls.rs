//! TLS 1.3 between two machines that share no authority: the waiting node shows a bare public key
//! (RFC 7250), and the caller knows its fingerprint.

use std::sync::Arc;

use dx_transport::identity::{NodeKey, PublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};

/// What the two speak on top of TLS. A node that runs already speaks something else, and so is
/// recognised as one that does not wait.
const ALPN: &[u8] = b"dx-join/1";

/// The name that the caller asks for; nobody looks at it.
pub const SERVER_NAME: &str = "join.dx.internal";

/// How the waiting node accepts callers, who show no certificate: the secret speaks for them.
pub fn waiting(key: &NodeKey) -> Result<ServerConfig, Error> {
    let provider = provider();
    let private = PrivatePkcs8KeyDer::from(key.der()).into();
    let signing = provider.key_provider.load_private_key(private)?;
    let shown = CertifiedKey::new(vec![CertificateDer::from(key.public().spki())], signing);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(shown))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// How the caller dials the node whose public key has this fingerprint.
pub fn calling(fingerprint: [u8; 32]) -> Result<ClientConfig, Error> {
    let verifier = Arc::new(Pinned { fingerprint, provider: provider() });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Whether a handshake failed because the node has another key than the token says.
pub fn is_other_key(error: &Error) -> bool {
    *error == OTHER_KEY
}

const OTHER_KEY: Error =
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Believes the one key that has the fingerprint.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match PublicKey::from_spki(shown) {
            // Both are public, so the comparison may take the time it likes.
            Some(key) if key.fingerprint() == self.fingerprint => {
                Ok(ServerCertVerified::assertion())
            }
            _ => Err(OTHER_KEY),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Version 1.3 is the only one that is offered.
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
