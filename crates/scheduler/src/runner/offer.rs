//! What a node offers of what its machine has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::job::{Cpus, Resources, Size};
use crate::processor::Machine;

/// What a node offers. What is left out is what the machine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Offer {
    /// Processors, in place of what the machine has.
    pub cpus: Option<Cpus>,
    /// Memory, in place of what the machine has.
    pub memory: Option<Size>,
    /// GPUs, in place of what the machine has: those with the numbers from 0 on.
    pub gpus: Option<u32>,
    /// What else tasks may ask for, by name.
    pub custom: BTreeMap<String, u64>,
    /// Processors that are kept for others.
    pub reserved_cpus: Cpus,
    /// Memory that is kept for others.
    pub reserved_memory: Size,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            cpus: None,
            memory: None,
            gpus: None,
            custom: BTreeMap::new(),
            reserved_cpus: Cpus(0),
            reserved_memory: Size(0),
        }
    }
}

impl Offer {
    /// What it is on this machine.
    #[must_use]
    pub fn of(&self, machine: Machine) -> Resources {
        let cpus = self.cpus.map_or(machine.cpus, |cpus| cpus.0);
        let memory = self.memory.map_or(machine.memory, |memory| memory.0);
        Resources {
            cpus: Cpus(cpus.saturating_sub(self.reserved_cpus.0)),
            memory: Size(memory.saturating_sub(self.reserved_memory.0)),
            gpus: self.gpus.unwrap_or(machine.gpus),
            custom: self.custom.clone(),
        }
    }
}
