//! The bounds of a journal.

use std::ops::RangeInclusive;

use super::format::{ENTRY_HEAD, SEAL, SEGMENT_HEAD};

/// How large what may become. [`Options::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// A random number that names a new log, so that no file of another passes for its own. An
    /// existing log keeps its name.
    pub log_id: u64,
    /// Bytes after which a new segment begins, reserved ahead where the disk can. 64 MiB: a file
    /// is made every second at most, and no more than that stays unused. 4 KiB to 64 GiB.
    pub segment_bytes: u64,
    /// The longest record or snapshot. 128 MiB, the longest snapshot of an agent, and 64 KiB for
    /// what is put around it.
    pub max_entry: usize,
    /// Bytes that may wait for the next sync; then appending is refused. 160 MiB: the longest
    /// snapshot, and two of the longest records. At least the longest entry and its head; at most
    /// 256 MiB.
    pub max_group: usize,
    /// Bytes of records after which an agent is asked for a snapshot. 16 MiB, a guess: some
    /// hundredths of a second to replay.
    pub agent_bytes: u64,
    /// Bytes of the whole log from which on old segments are emptied, unless more than half of it
    /// is needed: small remains are carried forward, agents with large ones asked for a snapshot.
    /// 256 MiB: about a second to read at the start (`benches`, a busy machine).
    pub log_bytes: u64,
    /// What an agent's log may take to be carried forward without asking the agent. 64 KiB, a
    /// guess: much less than a snapshot would cost the agent.
    pub carry_bytes: u64,
}

/// The longest group, whatever the options say: bounds what a reader allocates. What is appended
/// may be doubled by what is carried forward.
pub(super) const MAX_GROUP: usize = 1 << 30;

const SEGMENT: RangeInclusive<u64> = 4096..=64 << 30;
const LARGEST_MAX_GROUP: usize = MAX_GROUP / 4;

impl Options {
    /// The defaults, for a log that is called `log_id` if it is new.
    #[must_use]
    pub fn new(log_id: u64) -> Self {
        const MIB: usize = 1 << 20;
        Self {
            log_id,
            segment_bytes: 64 * MIB as u64,
            max_entry: 128 * MIB + (64 << 10),
            max_group: 160 * MIB + (128 << 10),
            agent_bytes: 16 * MIB as u64,
            log_bytes: 256 * MIB as u64,
            carry_bytes: 64 << 10,
        }
    }

    /// What is wrong with them.
    pub(super) fn check(&self) -> Result<(), String> {
        let entry = self.max_entry.saturating_add(ENTRY_HEAD);
        if !SEGMENT.contains(&self.segment_bytes) {
            let (bytes, [min, max]) = (self.segment_bytes, [SEGMENT.start(), SEGMENT.end()]);
            return Err(format!("segment_bytes is {bytes}, and not in {min} to {max}"));
        }
        if self.max_group < entry || self.max_group > LARGEST_MAX_GROUP {
            let max = self.max_group;
            return Err(format!("max_group is {max}, and not in {entry} to {LARGEST_MAX_GROUP}"));
        }
        if self.carry_bytes > self.max_group as u64 {
            return Err(format!("carry_bytes is {}, above max_group", self.carry_bytes));
        }
        Ok(())
    }

    /// Bytes of the file that is to begin with a group of `group` bytes.
    pub(super) fn room_for(&self, group: u64) -> u64 {
        self.segment_bytes.max(SEGMENT_HEAD as u64 + group + SEAL as u64)
    }
}
