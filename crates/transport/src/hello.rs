//! What each side says about itself when a link is made.

use serde::{Deserialize, Serialize};

use crate::id::{ClusterId, Incarnation, NodeId, SessionNonce};
use crate::lane::{Delivery, LaneConfig};

/// The protocol versions that this crate speaks, oldest and newest.
pub const VERSIONS: (u8, u8) = (1, 1);

/// A side's introduction. Encoded by [`codec`](crate::codec) within
/// [`MAX_HANDSHAKE`](crate::limits::MAX_HANDSHAKE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Optional abilities, one bit each; both sides use the common ones. None are defined yet.
    pub features: u64,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Who it is.
    pub node: NodeId,
    /// In which life.
    pub incarnation: Incarnation,
    /// Whom it means to reach; `None` while the acceptor does not know who calls.
    pub expects: Option<NodeId>,
    /// Its half of the session's identity, for this peer.
    pub session: SessionNonce,
    /// Its lanes and what it accepts on them.
    pub lanes: Vec<LaneOffer>,
    /// Fresh and random: makes proofs of the secret useless on any other link.
    pub challenge: [u8; 32],
}

/// What a side offers on one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOffer {
    /// Whether messages survive a broken link; both sides must agree.
    pub reliable: bool,
    /// The largest message it accepts.
    pub max_message: u32,
    /// The most that it keeps unacknowledged: its peer acknowledges well before.
    pub replay_bytes: u64,
}

impl LaneOffer {
    /// What `config` offers.
    #[must_use]
    pub fn of(config: &LaneConfig) -> Self {
        Self {
            reliable: config.delivery == Delivery::Reliable,
            max_message: u32::try_from(config.max_message).unwrap_or(u32::MAX),
            replay_bytes: config.replay_bytes as u64,
        }
    }
}
