//! When a task runs again.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// When a task that failed runs again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The most attempts, the first among them; those that were the fault of a node not counted.
    pub max_attempts: u32,
    /// The wait before the second attempt. It doubles with each further one, and up to a quarter is
    /// added at random.
    pub backoff: Span,
    /// The longest such wait.
    pub max_backoff: Span,
    /// Which ends are worth another attempt.
    pub on: BTreeSet<RetryOn>,
    /// Exit codes for which there is no other attempt, whatever `on` says.
    pub not_on_codes: BTreeSet<i32>,
    /// The most attempts that may be the fault of nodes: lost with them, or not started for want of
    /// something there. Of a node that is stopped in good order, or was drained, none counts.
    pub max_node_faults: u32,
}

/// An end that is worth another attempt.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// A command exited with another code than 0.
    Exit,
    /// A command died of a signal.
    Signal,
    /// It ran for too long.
    Timeout,
    /// Its memory was used up.
    Oom,
    /// A command could not be started, and that is the job's fault.
    NotStarted,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            backoff: Span::seconds(1),
            max_backoff: Span::seconds(300),
            on: BTreeSet::from([RetryOn::Exit, RetryOn::Signal, RetryOn::Timeout, RetryOn::Oom]),
            not_on_codes: BTreeSet::new(),
            max_node_faults: 5,
        }
    }
}
