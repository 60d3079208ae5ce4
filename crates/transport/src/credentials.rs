//! What a node proves itself with.

#[cfg(feature = "identity")]
use crate::identity::NodeIdentity;
use crate::secret::ClusterSecret;

/// What a node proves itself with to its peers. A transport takes what it needs.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The node's certificate, for links over tls and quic.
    #[cfg(feature = "identity")]
    pub identity: Option<NodeIdentity>,
    /// The cluster secret, for links that prove nothing themselves.
    pub secret: Option<ClusterSecret>,
}
