//! Names of nodes. They are names of folders, too, so not every text is one.

use std::fmt;
use std::str::FromStr;

use dx_transport::id::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

/// The longest name of a node. The path of its control socket must fit into 107 bytes.
const MAX_NAME: usize = 64;

/// What lies in a cluster's folder beside its nodes.
const RESERVED: [&str; 3] = ["ca.pem", "ca.key", "secret"];

/// The name of a node: 1 to 64 letters, digits, `-`, `_` or `.`, and no `.` at its beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// A text that names no node: the beginning of it, with special characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the name of a node: 1 to 64 letters, digits, `-`, `_` or `.` are, but none that begins with `.` or is called `ca.pem`, `ca.key` or `secret`"
)]
pub struct InvalidName(String);

impl NodeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number in a name like `n7`.
    #[must_use]
    pub fn number(&self) -> Option<NodeId> {
        let digits = self.0.strip_prefix('n')?;
        let is_canonical = digits == "0" || !digits.starts_with(['0', '+']);
        digits.parse().ok().filter(|_| is_canonical).map(NodeId)
    }
}

impl FromStr for NodeName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name.chars().all(is_allowed)
            && is_folder_name(name)
            && !RESERVED.contains(&name);
        if is_name {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidName(name.escape_debug().take(MAX_NAME).collect()))
        }
    }
}

impl TryFrom<String> for NodeName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        name.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a cluster of this name can have a folder: `..` is a name, but not a folder of its own,
/// and names that begin with a point are those of unfinished folders.
pub fn can_be_folder(cluster: &ClusterId) -> bool {
    is_folder_name(cluster.as_str())
}

fn is_folder_name(name: &str) -> bool {
    !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_its_cluster() {
        for wrong in ["", ".", "..", ".n1.new", "a/b", "a\0", "ca.key", "secret", "n 1", "ü"] {
            assert!(wrong.parse::<NodeName>().is_err(), "`{wrong}` was accepted");
        }
        assert!("x".repeat(65).parse::<NodeName>().is_err());
        for right in ["n1", "7", "db-1.rack_2", &"x".repeat(64)] {
            assert_eq!(right.parse::<NodeName>().unwrap().as_str(), right);
        }
    }

    #[test]
    fn only_a_name_like_n7_says_its_number() {
        let number = |name: &str| name.parse::<NodeName>().unwrap().number().map(|id| id.0);
        assert_eq!(number("n7"), Some(7));
        assert_eq!(number("n0"), Some(0));
        for other in ["7", "node7", "n", "n07", "n4294967296", "N7", "n7a"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
