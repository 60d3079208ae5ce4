//! What a transport has proven about the other end of a link.

use std::fmt;
use std::sync::Arc;

use crate::id::NodeId;

/// What a transport has proven about the other end of a link.
#[derive(Clone)]
pub enum PeerProof {
    /// Nothing: the handshake must prove the cluster secret.
    None,
    /// It holds the key of a certificate of the cluster's authority. The function says whether
    /// that certificate is the given node's.
    Certificate(Arc<dyn Fn(NodeId) -> bool + Send + Sync>),
}

impl PeerProof {
    /// The proof that `certificate`, whose chain and key were verified, gives.
    #[cfg(any(feature = "tls", feature = "quic"))]
    pub(crate) fn certificate(certificate: rustls::pki_types::CertificateDer<'static>) -> Self {
        Self::Certificate(Arc::new(move |node| crate::identity::names(&certificate, node)))
    }
}

impl fmt::Debug for PeerProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Certificate(_) => "Certificate",
        })
    }
}
