//! What can be set of jobs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dx_scheduler::job::{Cpus, Size};
use dx_scheduler::runner::Offer;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{forms, units};

/// Jobs: what runs on the nodes of role `runner` because the one of role `controller` says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobsTable {
    /// How long the controller, or a runner, may be silent until what runs there is killed and runs
    /// elsewhere. Longer outlasts longer outages, shorter finds out sooner that a machine died.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "5s", "x-greatest" = "1day"))]
    pub lease: Duration,
    /// Where the controller's node also answers the job API over TCP, to whoever has a token
    /// (`dx token create`). Beyond this machine it speaks TLS with the node's certificate:
    /// `curl --cacert ca.pem --resolve node-1.dx.internal:PORT:ADDRESS https://node-1.dx.internal:PORT/...`.
    /// Default: only at the control socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Jobs that have ended and are kept, with their logs; beyond it the one that ended first is
    /// removed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub kept: usize,
    /// Tasks that may wait or run, in all; beyond it jobs are refused. Each that has run costs the
    /// controller about 100 bytes.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub tasks: u64,
}

impl Default for JobsTable {
    fn default() -> Self {
        // 30 s outlasts the restart of a node and of its machine's network; a guess.
        Self { lease: Duration::from_secs(30), listen: None, kept: 10_000, tasks: 10_000_000 }
    }
}

/// What a node offers to jobs of what its machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OfferTable {
    /// Processors, as `4` or `0.5`. Default: as many as the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "cpus")]
    pub cpus: Option<Cpus>,
    /// Memory, as `"8GiB"`. Default: as much as the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "memory")]
    pub memory: Option<Size>,
    /// GPUs, from number 0 on. Default: as many as the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "gpus")]
    pub gpus: Option<u32>,
    /// What else tasks may ask for, by name, as in `{ licenses = 2 }`. Default: nothing.
    pub custom: BTreeMap<String, u64>,
    /// Processors that are kept for others than jobs. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "cpus")]
    pub reserved_cpus: Option<Cpus>,
    /// Memory that is kept for others than jobs. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "memory")]
    pub reserved_memory: Option<Size>,
}

impl From<OfferTable> for Offer {
    fn from(table: OfferTable) -> Self {
        let OfferTable { cpus, memory, gpus, custom, reserved_cpus, reserved_memory } = table;
        let reserved_cpus = reserved_cpus.unwrap_or(Cpus(0));
        let reserved_memory = reserved_memory.unwrap_or_default();
        Self { cpus, memory, gpus, custom, reserved_cpus, reserved_memory }
    }
}

fn listen(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "x-form": "socket", "examples": ["127.0.0.1:8080"] })
}

fn cpus(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0, "maximum": 65_536, "examples": [4] })
}

fn memory(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[kKMGTP]?i?[bB]\s*$",
        "x-form": "size",
        "examples": ["8GiB"],
    })
}

fn gpus(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": 1024, "examples": [1] })
}
