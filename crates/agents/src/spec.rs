//! What an agent is to be: its kind, place, bounds and what happens when it fails. Plain data, as
//! a cluster file or a spawning agent gives it.

use std::time::Duration;

use dx_transport::id::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::AgentId;

/// One agent of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// Its id, below 2^32 if it comes from a cluster file.
    pub id: AgentId,
    /// The kind, as the registry knows it.
    pub kind: String,
    /// Where it runs.
    pub node: NodeId,
    /// What its kind wants to know.
    #[serde(default)]
    pub attr: serde_json::Value,
    /// How it runs.
    #[serde(default)]
    pub options: Options,
}

/// How an agent runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose thread it runs on.
    pub placement: Placement,
    /// Threads for its [`SharedState`](crate::SharedState); 0: the node's pool.
    pub shared: usize,
    /// How much may wait for it.
    pub mailbox: MailboxBounds,
    /// What happens to its sends when the receiver has no room for more.
    pub full: WhenFull,
    /// What happens when it panics.
    pub restart: Restart,
}

/// Whose thread an agent runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// One that it shares with other light agents.
    #[default]
    Pool,
    /// One of its own.
    Thread {
        /// The processor that the thread is bound to.
        pin: Option<usize>,
    },
}

/// How much may wait in an agent's mailbox. Timers, completions, answers and the like have a
/// queue of their own that is never full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailboxBounds {
    /// Messages.
    pub messages: usize,
    /// Their bytes. One message is always let in, however large.
    pub bytes: usize,
    /// What happens to a local message that finds it full.
    pub full: WhenFull,
}

impl MailboxBounds {
    /// What an agent has unless told otherwise.
    pub const DEFAULT: Self = Self { messages: 1024, bytes: 16 << 20, full: WhenFull::Refuse };
}

impl Default for MailboxBounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens to a message for which there is no room. Each is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// It goes back: the sender's [`refused`](crate::Agent::refused) is called.
    #[default]
    Refuse,
    /// It is dropped.
    DropNewest,
    /// The oldest that waits is dropped for it.
    DropOldest,
}

/// What happens to an agent that panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// It stays down: fail-stop. Right for whatever must not forget what it said.
    #[default]
    Never,
    /// It starts anew, unless it fails too often.
    OnFailure {
        /// Restarts within `within` before it stays down.
        max: u32,
        /// The window in which they are counted.
        within: Duration,
        /// The wait before the first restart of a window; it doubles with each further one.
        backoff: Duration,
    },
    /// It starts anew, also when it stops by itself.
    Always {
        /// The wait before each restart.
        backoff: Duration,
    },
}

/// An attribute is not what the kind wants. Fault of whoever wrote the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if key.is_empty() { String::new() } else { format!("`{key}`: ") })]
pub struct AttrError {
    /// The path of the key below `attr`, such as `target`; empty if all of it is meant.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl AttrError {
    /// An error of the attribute at `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl AgentSpec {
    /// Its attributes as a type.
    ///
    /// # Errors
    /// If they are of other types, lack a key or have one too many; the error names the key.
    pub fn attr<T: DeserializeOwned>(&self) -> Result<T, AttrError> {
        let attr = match &self.attr {
            serde_json::Value::Null => serde_json::Value::Object(serde_json::Map::new()),
            attr => attr.clone(),
        };
        serde_path_to_error::deserialize(attr).map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." { String::new() } else { path };
            AttrError { key, message: error.into_inner().to_string() }
        })
    }
}
