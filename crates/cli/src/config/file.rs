//! What can be written in a cluster file: its tables and keys, and their documentation.
//!
//! These types are the one description of the file. From them come the schema that editors read
//! and that every source is checked against, the built-in defaults, and the documented
//! `configs/default.toml`. A new section is a new field here, and its meaning in `resolve`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use dx_agents::WhenFull;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::{Bounds, Dialing, JobsTable, OfferTable, Timing};
use super::{forms, units};

/// A cluster: its nodes, the agents on them, and what they share.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// What all nodes share.
    pub cluster: ClusterTable,
    /// Jobs: what runs on the nodes of role `runner` because the one of role `controller` says so.
    pub jobs: JobsTable,
    /// A node, one process, by its name for people: `[node.n1]`. 1 to 64 letters, digits, `-` or
    /// `_`.
    #[schemars(extend("propertyNames" = {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "examples": ["n1"],
    }))]
    pub node: BTreeMap<String, NodeTable>,
    /// An agent by its id, 0 to 4294967295: `[agent.1]`.
    #[schemars(extend("propertyNames" = {
        "pattern": "^(0|[1-9][0-9]{0,9})$",
        "examples": ["1"],
    }))]
    pub agent: BTreeMap<String, AgentTable>,
}

/// The sections, in the order in which they are shown.
pub const SECTIONS: [&str; 4] = ["cluster", "jobs", "node", "agent"];

/// What all nodes share.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterTable {
    /// The name. Nodes of different names refuse each other. 1 to 64 letters, digits, `-`, `_` or
    /// `.`. Default: the name of the first cluster file, without its extension.
    #[schemars(with = "String", example = &"local")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How nodes talk where an address does not say otherwise: `tcp`, `tls` or `quic`. `tls` is
    /// the fastest that is safe on a good network, `quic` is at home on long or lossy paths, `tcp`
    /// is for one machine.
    #[schemars(schema_with = "transport")]
    pub transport: String,
    /// Whether plain tcp may leave the machine. There it is neither encrypted nor does it prove
    /// which node talks; every start warns.
    pub insecure: bool,
    /// When a link is silent, a session over and an acknowledgement due.
    pub timing: Timing,
    /// When a node dials its peers.
    pub dialing: Dialing,
    /// What others may make a node hold or do.
    pub bounds: Bounds,
}

impl Default for ClusterTable {
    fn default() -> Self {
        Self {
            name: None,
            transport: "tls".to_owned(),
            insecure: false,
            timing: Timing::default(),
            dialing: Dialing::default(),
            bounds: Bounds::default(),
        }
    }
}

/// A node: one process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeTable {
    /// The node's number, which its certificate names. Unique; 1 to 4294967295.
    #[schemars(range(min = 1), example = 1)]
    pub id: u32,
    /// Where the others reach it, as `host:port` over the cluster's transport, or with one of its
    /// own as in `quic://host:port`. Unique.
    #[schemars(example = &"127.0.0.1:7001")]
    pub address: String,
    /// Where it listens, if that is not where it is reached, as behind a forwarded port:
    /// `0.0.0.0:7001`. Default: `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = &"0.0.0.0:7001")]
    pub listen: Option<String>,
    /// What it does beside holding agents. Default: nothing.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// What jobs may ask for, as in `{ zone = "a" }`. Default: none.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it offers to jobs of what its machine has.
    #[serde(default)]
    pub offer: OfferTable,
}

/// What a node does beside holding agents.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It decides what runs where.
    Controller,
    /// It runs jobs.
    Runner,
}

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTable {
    /// What it is: the name of a kind that the program knows.
    #[schemars(example = &"echo")]
    pub kind: String,
    /// The name of the node it lives on. Instead: `ip` and `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = &"n1")]
    pub node: Option<String>,
    /// The IP address of the node it lives on; with `port`. Agents of equal `ip` and `port` live
    /// on one node, whose id is the lowest of their ids where no `[node]` has that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "ip")]
    pub ip: Option<IpAddr>,
    /// The port of the node it lives on, 1 to 65535; with `ip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<u16>,
    /// What its kind wants to know. Default: nothing.
    #[serde(default)]
    pub attr: Map<String, Value>,
    /// Whose thread it runs on: one that it shares with other light agents, or one of its own.
    #[serde(default)]
    pub placement: PlacementName,
    /// The processor that its own thread is bound to, from 0; with `placement = "thread"` only.
    /// Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "processor")]
    pub pin: Option<usize>,
    /// Threads for the part of it that many threads share; 0 is the node's pool.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1024))]
    pub shared: usize,
    /// How much may wait for it.
    #[serde(default)]
    pub mailbox: MailboxTable,
    /// What happens to what it sends when the receiver has no room: `refuse` gives it back,
    /// `drop-newest` and `drop-oldest` count and drop.
    #[serde(default)]
    #[schemars(with = "WhenFullName")]
    pub full: WhenFull,
    /// What happens when it panics: `never` (it stays down), `always`, or `on_failure`; or a table
    /// that says more, as in `{ on_failure = { max = 3, within = "1min", backoff = "100ms" } }`.
    #[serde(default)]
    pub restart: RestartValue,
}

/// The transports that nodes can use between processes.
pub const TRANSPORTS: [&str; 3] = ["tcp", "tls", "quic"];

fn transport(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": TRANSPORTS })
}

fn ip(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "x-form": "ip", "examples": ["127.0.0.1"] })
}

fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": u16::MAX, "examples": [7001] })
}

fn processor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": 65_535, "examples": [0] })
}

/// Whose thread an agent runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlacementName {
    /// One that it shares with other light agents.
    #[default]
    Pool,
    /// One of its own.
    Thread,
}

/// How much may wait for an agent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MailboxTable {
    /// Messages that may wait.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub messages: usize,
    /// Bytes that may wait. One message is always let in, however large.
    #[serde(with = "units::size")]
    #[schemars(schema_with = "forms::size", extend("x-least" = "1B", "x-greatest" = "64GiB"))]
    pub bytes: usize,
    /// What happens to a message of the same node that finds it full: `refuse`, `drop-newest` or
    /// `drop-oldest`.
    #[schemars(with = "WhenFullName")]
    pub full: WhenFull,
}

impl Default for MailboxTable {
    fn default() -> Self {
        let dx_agents::MailboxBounds { messages, bytes, full } =
            dx_agents::MailboxBounds::default();
        Self { messages, bytes, full }
    }
}

/// The schema of [`WhenFull`].
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum WhenFullName {
    /// It goes back to its sender.
    Refuse,
    /// It is dropped, and counted.
    DropNewest,
    /// The oldest that waits is dropped for it, and counted.
    DropOldest,
}

/// What happens to an agent that panics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RestartValue {
    /// A rule with its defaults.
    Name(RestartName),
    /// A rule with its details.
    Table(RestartTable),
}

impl Default for RestartValue {
    fn default() -> Self {
        Self::Name(RestartName::Never)
    }
}

/// When an agent is started anew.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartName {
    /// Not at all: fail-stop.
    Never,
    /// When it panics, unless it does so too often.
    OnFailure,
    /// Also when it stops by itself.
    Always,
}

/// One of two rules, with its details.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct RestartTable {
    /// When it panics, unless it does so too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OnFailure")]
    pub on_failure: Option<OnFailure>,
    /// Also when it stops by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Always")]
    pub always: Option<Always>,
}

/// The details of a restart after a failure.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    /// Restarts within `within` before it stays down.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// The window in which they are counted.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "365days"))]
    pub within: Duration,
    /// The wait before the first restart of a window; it doubles with each further one.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "1day"))]
    pub backoff: Duration,
}

impl Default for OnFailure {
    /// Three within a minute: a fault that comes back at once is not mended by restarts. A guess.
    fn default() -> Self {
        Self { max: 3, within: Duration::from_mins(1), backoff: DEFAULT_BACKOFF }
    }
}

/// The details of a restart in any case.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Always {
    /// The wait before each restart.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "1day"))]
    pub backoff: Duration,
}

impl Default for Always {
    fn default() -> Self {
        Self { backoff: DEFAULT_BACKOFF }
    }
}

/// Long enough not to fill a log, short enough not to be waited for. A guess.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(100);
