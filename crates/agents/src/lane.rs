//! The lanes between agents.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent a message is. Order holds within a lane, not across lanes; over the mesh each is a
/// lane of its own, so that a bulk transfer never delays a heartbeat.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Before everything else. For the few small messages that keep a protocol alive.
    Urgent,
    /// What is not one of the others.
    #[default]
    Normal,
    /// Large transfers.
    Bulk,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        })
    }
}
