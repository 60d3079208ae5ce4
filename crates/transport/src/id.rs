//! Who is talking: nodes, their incarnations, clusters and sessions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A node of the cluster. Assigned by the cluster file and bound to the node's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One life of a node: grows with every start, so that peers recognise a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The incarnation that follows `stored` (0 when none was) at wall-clock time `now_ms`
    /// (milliseconds since the Unix epoch).
    ///
    /// It grows even where the clock went backwards, and where the stored value was lost. The
    /// caller stores it before first use.
    #[must_use]
    pub fn after(stored: u64, now_ms: u64) -> Self {
        Self(now_ms.max(stored.saturating_add(1)))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of a cluster: 1 to 64 letters, digits, `-`, `_` or `.`.
///
/// Nodes of different clusters refuse each other in the handshake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

/// A text that is no cluster name: the beginning of it, with special characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cluster name: 1 to 64 letters, digits, `-`, `_` or `.` are")]
pub struct InvalidClusterId(pub String);

impl ClusterId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterId {
    type Err = InvalidClusterId;

    fn from_str(name: &str) -> Result<Self, InvalidClusterId> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            // A peer may have sent it: it must neither fill a log nor write on a terminal.
            Err(InvalidClusterId(name.escape_debug().take(64).collect()))
        }
    }
}

impl TryFrom<String> for ClusterId {
    type Error = InvalidClusterId;

    fn try_from(name: String) -> Result<Self, InvalidClusterId> {
        name.parse()
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        id.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One side's random contribution to a session's identity.
///
/// A session is named by the pair of nonces of its two ends. Both present theirs in every
/// handshake; the session goes on if, and only if, both still hold the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionNonce(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incarnations_grow_whatever_the_clock_and_the_disk_do() {
        assert_eq!(Incarnation::after(0, 1000), Incarnation(1000));
        assert_eq!(Incarnation::after(999, 1000), Incarnation(1000));
        assert_eq!(Incarnation::after(1000, 1000), Incarnation(1001));
        assert_eq!(Incarnation::after(1000, 7), Incarnation(1001));
    }

    #[test]
    fn what_is_no_cluster_name_is_shown_short_and_without_control_characters() {
        let error = format!("\x1b[2J{}", "x".repeat(4000)).parse::<ClusterId>().unwrap_err();
        let shown = error.to_string();
        assert!(!shown.contains(char::is_control) && shown.len() < 200, "{shown:?}");
    }
}
