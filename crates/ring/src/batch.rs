//! Batches: what is numbered and moved as one.

use bytes::Bytes;
use dx_agents::AgentId;
use serde::{Deserialize, Serialize};

use crate::view::{Life, View};

/// The longest batch, in bytes. One of this size takes 5.2 ms of a link of 100 Mbit/s.
pub const MAX_BATCH: usize = 64 * 1024;

/// The name of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchId {
    /// Who made it.
    pub origin: AgentId,
    /// In which life.
    pub life: Life,
    /// As which of that life, from 1.
    pub sn: u64,
}

/// Messages of one origin, or parts of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// How it is divided.
    pub cuts: Cuts,
    /// The messages, one after the other.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// How the bytes of a batch are divided into messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts {
    /// The lengths of the messages.
    pub lens: Vec<u32>,
    /// The last one goes on in the next batch of this origin.
    pub goes_on: bool,
}

impl Batch {
    /// Its messages; the last one may be unfinished. Empty if the lengths do not fit the bytes,
    /// which no member sends.
    #[must_use]
    pub fn pieces(&self) -> Vec<Bytes> {
        let total: u64 = self.cuts.lens.iter().map(|len| u64::from(*len)).sum();
        if total != self.bytes.len() as u64 {
            return Vec::new();
        }
        let mut rest = self.bytes.clone();
        self.cuts.lens.iter().map(|len| rest.split_to(*len as usize)).collect()
    }
}

/// What has a place in the one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A batch.
    Batch(BatchId),
    /// A view takes effect.
    View(View),
}
