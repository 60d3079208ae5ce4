//! What the two sides say to each other, as JSON in frames.

use std::time::SystemTime;

use dx_transport::id::{ClusterId, NodeId};
use dx_transport::identity::NodeKey;
use dx_transport::secret::ClusterSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::invitation::Joined;
use crate::hex;
use crate::home::{Home, NodeName, Received};

/// The longest reason that goes with a refusal, in bytes.
const MAX_REASON: usize = 1024;

/// The first words of the caller: that it holds the token's secret.
#[derive(Serialize, Deserialize)]
pub struct Greeting {
    /// The proof, in hexadecimal digits.
    pub proof: String,
}

/// The answers of the node that waits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It believes its caller, and proves that it holds the secret, too.
    Welcome(Greeting),
    /// It has stored what it was sent.
    Enrolled,
    /// It does not do it.
    Refused(Refusal),
}

/// Why the node that waits refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The caller does not hold the token's secret.
    #[error("the token's secret is wrong: copy the token again, as `dx node --listen` printed it")]
    WrongSecret,
    /// The token's time is over.
    #[error("the token has expired: start `dx node --listen` there again for a new one")]
    Expired,
    /// Somebody was faster.
    #[error("the token was used already: the node there has joined a cluster")]
    Used,
    /// Somebody else who holds the token is enrolling the node.
    #[error("somebody else is using the token at this moment: if they fail, try again")]
    Busy,
    /// What was said could not be understood.
    #[error("the node there did not understand: use the same dx on both machines")]
    Malformed,
    /// What it was sent could not be stored. The token still counts.
    #[error("the node there could not store what it was sent: {0}")]
    NotStored(String),
}

impl Refusal {
    /// Of a reason that may be long.
    pub fn not_stored(reason: &impl ToString) -> Self {
        Self::NotStored(printable(&reason.to_string()))
    }

    /// The same, fit to be shown: a peer may have written what it liked.
    #[must_use]
    pub fn shown(self) -> Self {
        match self {
            Self::NotStored(reason) => Self::NotStored(printable(&reason)),
            other => other,
        }
    }
}

fn printable(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut length = 0;
    visible
        .take_while(|c| {
            length += c.len_utf8();
            length <= MAX_REASON
        })
        .collect()
}

/// A place in a cluster, as it travels. It holds the cluster's secret, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct Place {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's name.
    pub node: NodeName,
    /// The node's number.
    pub id: NodeId,
    /// The node's certificate, in PEM form.
    pub certificate: String,
    /// The authority's certificate, in PEM form.
    pub authority: String,
    /// The cluster's secret, in hexadecimal digits.
    pub secret: String,
    /// The node's configuration.
    pub configuration: Value,
}

impl Place {
    /// Stores it for the node that holds `key`.
    pub fn store(self, key: &NodeKey, home: &Home, now: SystemTime) -> Result<Joined, Refusal> {
        let secret = hex::decode(&self.secret).map(ClusterSecret::new);
        let Some(Ok(secret)) = secret else { return Err(Refusal::Malformed) };
        let received = Received {
            cluster: self.cluster,
            node: self.node,
            id: self.id,
            key,
            certificate: self.certificate,
            authority: self.authority,
            secret,
        };
        let node = received.store(home, now).map_err(|error| Refusal::not_stored(&error))?;
        Ok(Joined { node, id: self.id, configuration: self.configuration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_harmless_on_a_terminal() {
        let refusal = Refusal::NotStored(format!("\x1b[2J\n{}", "ü".repeat(5000))).shown();
        let Refusal::NotStored(reason) = refusal else { panic!("another refusal") };
        assert!(reason.len() <= MAX_REASON && !reason.contains(char::is_control), "{reason}");
        assert!(reason.ends_with('ü'));
    }
}
