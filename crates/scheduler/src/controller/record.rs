//! Batches as records of the journal, and what a start makes of them.

use dx_agents::Recovered;
use dx_transport::codec;

use crate::core::{Batch, Core};

/// The version of records; their first byte.
const VERSION: u8 = 1;

/// A batch as a record.
pub fn encode(batch: &Batch) -> Vec<u8> {
    let mut record = vec![VERSION];
    codec::encode_into(batch, codec::MAX_ENCODED, &mut record)
        .expect("a step's events are fewer than fill a record");
    record
}

/// A batch again.
fn decode(record: &[u8]) -> Result<Batch, String> {
    match record.split_first() {
        Some((&VERSION, batch)) => codec::decode(batch).map_err(|error| error.to_string()),
        Some((version, _)) => Err(format!("it is of version {version}, not {VERSION}")),
        None => Err("it is empty".to_owned()),
    }
}

/// Brings a core to where the journal says it was.
///
/// # Panics
/// If a snapshot or record is of another version: it was written by a later program, and nobody knows what this
/// one would make of the rest.
pub fn recover(core: &mut Core, recovered: &Recovered) {
    if let Some(snapshot) = &recovered.snapshot
        && let Err(what) = core.restore(snapshot)
    {
        panic!("the controller's snapshot is not understood: {what}");
    }
    for (at, record) in recovered.records.iter().enumerate() {
        match decode(record) {
            Ok(batch) => core.replay(&batch),
            Err(what) => {
                panic!("record {at} of the controller's journal is not understood: {what}")
            }
        }
    }
}
