//! What a node proves itself with.

use crate::secret::ClusterSecret;

/// What a node proves itself with to its peers. A transport takes what it needs.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The cluster secret, for links that prove nothing themselves.
    pub secret: Option<ClusterSecret>,
}
