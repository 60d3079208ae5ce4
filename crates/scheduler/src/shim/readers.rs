//! Who waits for more of which log.

use std::collections::BTreeMap;

use crate::id::AttemptId;
use crate::processor::ReadLog;

use super::core::Caller;

/// Readers that wait for the same log at a time; others are told at once that there is nothing.
const MAX_READERS: usize = 256;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Readers(BTreeMap<AttemptId, Vec<(Caller, ReadLog)>>);

impl Readers {
    /// One waits. False if too many do.
    pub fn wait(&mut self, caller: Caller, read: ReadLog) -> bool {
        let readers = self.0.entry(read.attempt).or_default();
        let has_room = readers.len() < MAX_READERS;
        if has_room {
            readers.push((caller, read));
        }
        has_room
    }

    /// There is more of a log: who waited for it.
    pub fn take(&mut self, id: AttemptId) -> Vec<(Caller, ReadLog)> {
        self.0.remove(&id).unwrap_or_default()
    }

    /// These are gone.
    pub fn gone(&mut self, callers: &[Caller]) {
        if !callers.is_empty() {
            for readers in self.0.values_mut() {
                readers.retain(|(caller, _)| !callers.contains(caller));
            }
        }
    }
}
