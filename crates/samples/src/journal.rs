//! What samples write to their journals.

use dx_agents::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// As it is written.
pub fn write<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the samples' records are numbers, texts and lists")
}

/// As it was written.
///
/// # Panics
/// If it was not written as a `T`: a journal gives back what was put in.
#[must_use]
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).expect("a journal gives back what was written")
}

/// All records of an agent that writes no snapshots.
pub fn records<T: DeserializeOwned>(cx: &mut Context) -> Vec<T> {
    cx.recovered().records.iter().map(|record| read(record)).collect()
}
