//! What can go wrong, and what to do about it.

use std::io;

/// Why a journal was not opened. Nothing that was acknowledged has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration's fault.
    #[error("the journal's bounds do not fit together: {0}")]
    Options(String),
    /// The disk refused.
    #[error("failed to {verb} {place}/{name}: {source}: mend the disk and start again")]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// The folder.
        place: String,
        /// The file; empty for the folder itself.
        name: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// There is no room for a first segment.
    #[error("{place} has no room for a journal of {needed} bytes: make room and start again")]
    Full {
        /// The folder.
        place: String,
        /// Bytes that were asked for.
        needed: u64,
    },
    /// A later version wrote it.
    #[error(
        "{place}/{name} has format {found}, and this program knows format 1: start the later version again"
    )]
    Version {
        /// The folder.
        place: String,
        /// The segment's file.
        name: String,
        /// Its format.
        found: u32,
    },
    /// What was synced once is not there any more. A crash does not do that: a disk, an operator
    /// or a bug did.
    #[error(
        "{place}/{name} is corrupt at byte {offset}: {damage}: the node must not go on without it; \
         keep the folder for examination, and restore a backup or let the node join anew with an empty folder"
    )]
    Corrupt {
        /// The folder.
        place: String,
        /// The segment's file.
        name: String,
        /// The segment's number.
        segment: u64,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
}

/// What is wrong with a log that a crash cannot explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A segment between others, or at an end, is gone.
    #[error("the segment is missing")]
    Missing,
    /// The head of a segment is not what was written.
    #[error("its head is damaged")]
    Head,
    /// A segment of another log, or with another number.
    #[error("it belongs to another log or place")]
    Stranger,
    /// It does not go on from where the segment before it ended.
    #[error("it does not follow the segment before it")]
    Unchained,
    /// Damage, and behind it what was written only after all before had been synced.
    #[error("bytes that were synced have changed")]
    Middle,
    /// An entry is whole, and means nothing to this version.
    #[error("an entry is of an unknown kind")]
    Unknown,
    /// Something follows the end of a sealed segment.
    #[error("bytes follow the segment's end")]
    Trailing,
    /// A segment ends without a seal though a later one is in use.
    #[error("the segment ends too early")]
    Unsealed,
}

/// Why an entry was not accepted. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The agent's fault.
    #[error("an entry of {bytes} bytes is longer than {max}: split it, or raise max_entry")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Too much waits for the next sync.
    #[error("{bytes} bytes wait for a sync, of {max} that may: sync first")]
    Unsynced {
        /// What waits.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The last sync found the disk full. What was accepted before is kept for the next one.
    #[error("{place} has no room for {needed} bytes: make room and sync again")]
    Full {
        /// The folder.
        place: String,
        /// Bytes that were asked for.
        needed: u64,
    },
    /// The disk failed before.
    #[error("the journal has failed before and accepts nothing more: restart the node")]
    Failed,
}

/// Why what was appended is not known to be on the disk.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The disk is full. What was appended is kept: sync again once there is room. Nothing else
    /// is accepted until then.
    #[error("{place} has no room for {needed} bytes: make room and sync again")]
    Full {
        /// The folder.
        place: String,
        /// Bytes that were asked for.
        needed: u64,
    },
    /// The disk failed. What is on it is not known, and a second sync could claim success without
    /// having written anything: the node must stop.
    #[error("failed to {verb} {place}/{name}: {source}: stop the node and examine the disk")]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// The folder.
        place: String,
        /// The file.
        name: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// An old entry that was to be carried forward is damaged. The node must stop.
    #[error("{place}/{name} is corrupt at byte {offset}: stop the node and examine the disk")]
    Corrupt {
        /// The folder.
        place: String,
        /// The segment's file.
        name: String,
        /// Where the entry begins.
        offset: u64,
    },
    /// It failed before, for a reason that was told then.
    #[error("the journal has failed before and writes nothing more: restart the node")]
    Failed,
}
