//! The forms of values that JSON Schema has no word for, under a word of our own.

use std::fmt;

use schemars::{Schema, json_schema};
use serde_json::Value;

/// The keyword of our own: what a text or a number means.
pub const KEYWORD: &str = "x-form";

/// The least value that a [`Form::Duration`] or [`Form::Size`] may have, as a text with its unit.
pub const LEAST: &str = "x-least";

/// The greatest.
pub const GREATEST: &str = "x-greatest";

/// What a text or a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A time, as in `30s`.
    Duration,
    /// A number of bytes, as in `64KiB`.
    Size,
    /// The id of an agent of the cluster.
    Agent,
    /// An IP address.
    Ip,
    /// An IP address with a port.
    Socket,
}

impl Form {
    /// The form that `schema` asks for, if any.
    #[must_use]
    pub fn of(schema: &Value) -> Option<Self> {
        match schema.get(KEYWORD)?.as_str()? {
            "duration" => Some(Self::Duration),
            "size" => Some(Self::Size),
            "agent" => Some(Self::Agent),
            "ip" => Some(Self::Ip),
            "socket" => Some(Self::Socket),
            _ => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "a duration, as in `30s`",
            Self::Size => "a size, as in `64KiB`",
            Self::Agent => "the id of an agent",
            Self::Ip => "an IP address, as in `127.0.0.1`",
            Self::Socket => "an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`",
        })
    }
}

/// The schema of a duration.
#[must_use]
pub fn duration(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": r"^\s*([0-9]+\s*[a-zA-Zµ]+\s*)+$",
        "x-form": "duration",
    })
}

/// The schema of a size.
#[must_use]
pub fn size(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[kKMGTP]?i?[bB]\s*$",
        "x-form": "size",
    })
}

/// The schema of an agent's id.
#[must_use]
pub fn agent(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "x-form": "agent" })
}
