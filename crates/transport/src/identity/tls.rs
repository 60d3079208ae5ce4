//! How nodes speak TLS: version 1.3 only, both sides with certificates, nothing resumed.

use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;

use super::NodeIdentity;

/// The cryptography, named here and never the process's default: an embedder may have another.
///
/// AES-128 comes first: with the instructions that all servers have it is the fastest, and QUIC
/// needs it in any case.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
}

impl NodeIdentity {
    /// How this node dials, over any protocol on top of TLS.
    ///
    /// Sessions are not resumed, on either side: every link proves its certificates, and their
    /// dates, anew.
    ///
    /// # Errors
    /// If the cryptography cannot be set up with this identity.
    pub fn tls_client(&self) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(self.roots.clone())
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// How this node accepts those who show a certificate of the same authority.
    ///
    /// # Errors
    /// If the cryptography cannot be set up with this identity.
    pub fn tls_server(&self) -> Result<ServerConfig, rustls::Error> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// How this node accepts those who show no certificate, and say otherwise who they are.
    ///
    /// # Errors
    /// If the cryptography cannot be set up with this identity.
    pub fn tls_server_for_all(&self) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}
