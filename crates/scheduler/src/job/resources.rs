//! What a task needs of a node.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Size;

/// What a task needs, or a node has.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processors; a task that says nothing needs one.
    pub cpus: Cpus,
    /// Memory. Of tasks that say nothing, none is counted.
    pub memory: Size,
    /// Whole GPUs; a task finds its own in `CUDA_VISIBLE_DEVICES`.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// What else is counted, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, u64>,
}

/// Processors, in thousandths: 0.5 and 2 are numbers of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus(pub u32);

impl Default for Cpus {
    fn default() -> Self {
        Self(1000)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / 1000.0).fmt(f)
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let cpus = f64::deserialize(from)?;
        let thousandths = (cpus * 1000.0).round();
        if !(0.0..=f64::from(u32::MAX)).contains(&thousandths) {
            return Err(D::Error::custom("a number of processors from 0 up is needed, as `0.5`"));
        }
        #[expect(clippy::cast_sign_loss, reason = "it was checked")]
        Ok(Self(thousandths as u32))
    }
}

impl JsonSchema for Cpus {
    fn schema_name() -> Cow<'static, str> {
        "Cpus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "examples": [1, 0.5] })
    }
}
