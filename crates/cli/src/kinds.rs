//! The kinds of agents that this program knows, and what each wants in its `attr`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Kinds, forms, units};

/// The kinds that a cluster file may name.
#[must_use]
pub fn kinds() -> Kinds {
    Kinds::new().attr::<Echo>("echo").attr::<Ping>("ping")
}

/// The attributes of an echo, which prints what it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Echo {
    /// Whether it also sends back what it got.
    pub reply: bool,
}

impl Default for Echo {
    fn default() -> Self {
        Self { reply: true }
    }
}

/// The attributes of a ping, which greets another agent again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// The agent that it greets.
    #[schemars(schema_with = "forms::agent")]
    pub target: u64,
    /// The time between two greetings.
    #[serde(with = "units::duration", default = "every_second")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1day"))]
    pub interval: Duration,
}

fn every_second() -> Duration {
    Duration::from_secs(1)
}
