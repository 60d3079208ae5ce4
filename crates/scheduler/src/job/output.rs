//! What becomes of what tasks print.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Size;

/// What becomes of what a task prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Where it goes.
    pub capture: Capture,
    /// The most that is kept of an attempt; what is beyond is counted and dropped, and the log says
    /// so.
    pub max: Size,
    /// Keeps nothing of attempts that succeed.
    pub drop_if_ok: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { capture: Capture::default(), max: Size(64 << 20), drop_if_ok: false }
    }
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Capture {
    /// Into the log, standard output and standard error apart.
    #[default]
    Split,
    /// Into the log, as one stream.
    Merge,
    /// Into this file of the node, as one stream. `{job}`, `{index}` and `{attempt}` in its name
    /// are replaced.
    File(PathBuf),
    /// Nowhere.
    Null,
}
